import { z } from "zod";
import type { HeldAnswer } from "../../../pipelines/console/held-selections.js";
import type { WallPage } from "../../../pipelines/console/wall/class-wall.js";
import { classPath, datasetPath, pageQuery, versionPath, type AskedClass } from "../../../schemas/api/shared.js";
import { facetsSchema, settingQuery, wallFilterQuery, wallSchema, type Wall } from "../../../schemas/api/whatif.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { askedClass, placeOfClass } from "../asked-class.js";
import type { Console } from "../console.js";
import { answering } from "../operation.js";
import { Refusal } from "../refusal.js";
import { ask, declaredDataset, pendingOf, undeclared, versionOrNone } from "./asked-ranking.js";
import { remember } from "./versions.js";

export const wall = answering(
  {
    route: "/api/datasets/{dataset}/classes/{class}/wall",
    summary: "a class as the archive ranks it now, labels heeded; the version's own rows until that is read",
    path: { ...datasetPath, ...classPath },
    query: {
      ...pageQuery,
      version: versionPath.version.default("latest").describe("the version that is compared with"),
      k: settingQuery.k.describe("rank so far down, where that is more than the declared K"),
      basis: z
        .enum(["archive", "version"])
        .default("archive")
        .describe("version: its own rows, as they were published"),
      ...wallFilterQuery,
    },
    answer: wallSchema,
  },
  async ({ console, path, query }) => {
    const { source, day, licence, show, other } = query;
    const filter = { source, day, licence, show, other };
    const manifest = await versionOrNone(console, path.dataset, query.version);
    const dataset = await declaredDataset(console, path.dataset);
    if (dataset === null && manifest === null) throw undeclared(path.dataset);
    const found: HeldAnswer =
      query.basis === "version" || dataset === null
        ? { held: null, reading: null, refused: dataset === null ? `${path.dataset} is not declared any more` : null }
        : await ask(console, dataset, query.k);
    const asked = declaredFor(found, manifest, path.class);
    const { held } = asked;
    if (held === null && manifest === null) {
      if (asked.reading === null)
        throw new Refusal(
          404,
          "E_VERSION_MISSING",
          asked.refused ??
            `Expected a version of ${path.dataset}, found none yet. \`sluice ingest\` publishes the first.`,
        );
    }
    const classes = held === null ? (manifest?.classes ?? []) : labelled(held.ranked.labels);
    const isNamed = typeof path.class === "string";
    // Nothing is known yet: it is being read.
    const index = classes.length > 0 ? askedClass(classes, path.class) : isNamed ? 0 : path.class;
    const label = classes[index]?.label ?? (isNamed ? path.class.slice("name:".length) : "");
    const versionClass = manifest === null ? -1 : sameClass(manifest, index, label);
    const inVersion = manifest?.classes[versionClass];
    const k = held?.quota[index] ?? inVersion?.k ?? 1;
    const frame = {
      dataset: path.dataset,
      class: index,
      label,
      k,
      cutoffBefore: inVersion?.worst ?? null,
      version: manifest?.number ?? null,
      pending: pendingOf(asked),
    };
    if (held !== null) {
      const against = manifest === null || inVersion === undefined ? null : { manifest, versionClass };
      const { from, limit } = query;
      const page = await seenOf(
        console,
        await filtered(console.walls.ofArchive(held, index, against, { from, limit, k, filter })),
      );
      remember(
        console,
        page.rows.map(({ row }) => row),
      );
      const complete = held.isComplete(index);
      const why = complete ? "exact: all images that ever came" : `exact down to rank ${page.total}`;
      return { ...frame, ...page, basis: "archive" as const, why, kept: Math.min(k, page.total) };
    }
    if (manifest === null || inVersion === undefined) {
      return {
        ...frame,
        basis: "version" as const,
        why: "being read",
        total: 0,
        shown: 0,
        shownKept: 0,
        leftOut: 0,
        kept: 0,
        cutoff: null,
        retracted: 0,
        note: null,
        rows: [],
      };
    }
    const { from, limit } = query;
    const page = await seenOf(
      console,
      await console.walls.ofVersion(manifest, versionClass, { from, limit, k, filter }),
    );
    remember(
      console,
      page.rows.map(({ row }) => row),
    );
    const why = asked.refused ?? `as version ${manifest.number} was published`;
    return { ...frame, ...page, basis: "version" as const, why, kept: page.total };
  },
);

/** A selection that the other teacher's classes do not have is the caller's matter. */
async function filtered(page: Promise<WallPage>): Promise<WallPage> {
  try {
    return await page;
  } catch (error) {
    if (!isSluiceError(error, "E_SELECTION")) throw error;
    throw new Refusal(400, error.code, error.message, { field: "show" });
  }
}

export const facets = answering(
  {
    route: "/api/datasets/{dataset}/classes/{class}/facets",
    summary:
      "what a class's wall can be filtered by: sources, days, licences, other teachers; how many images each has",
    path: { ...datasetPath, ...classPath },
    answer: facetsSchema,
  },
  async ({ console, path }) => {
    const manifest = await versionOrNone(console, path.dataset, "latest");
    const dataset = await declaredDataset(console, path.dataset);
    if (dataset === null && manifest === null) throw undeclared(path.dataset);
    const none: HeldAnswer = { held: null, reading: null, refused: null };
    const { held } = declaredFor(dataset === null ? none : await ask(console, dataset), manifest, path.class);
    const classes = held === null ? (manifest?.classes ?? []) : labelled(held.ranked.labels);
    const index = askedClass(classes, path.class);
    const versionClass = manifest === null ? -1 : sameClass(manifest, index, classes[index]!.label);
    const against = manifest?.classes[versionClass] === undefined ? null : { manifest, versionClass };
    if (held !== null) return console.walls.facets(held, index, against);
    if (against === null) return { sources: [], days: [], licences: [], others: [] };
    return { ...(await console.walls.facetsOfVersion(against.manifest, versionClass)), others: [] };
  },
);

function labelled(labels: readonly string[]): { readonly label: string }[] {
  return labels.map((label) => ({ label }));
}

/** A class that is declared no more, and that the version has, is shown as the version has it. */
function declaredFor(found: HeldAnswer, manifest: Manifest | null, asked: AskedClass): HeldAnswer {
  if (found.held === null || typeof asked === "number" || manifest === null) return found;
  const isDeclared = placeOfClass(labelled(found.held.ranked.labels), asked) >= 0;
  if (isDeclared || placeOfClass(manifest.classes, asked) < 0) return found;
  return {
    held: null,
    reading: null,
    refused: `as version ${manifest.number} has it: it is no class of ${manifest.dataset} any more`,
  };
}

/** A page of a wall with how often something was said of each image. */
async function seenOf(console: Console, page: WallPage): Promise<WallPage & Pick<Wall, "rows">> {
  const said = await console.said.all();
  const rows = page.rows.map((one) => ({ ...one, seen: said.get(one.row.sha256)?.length ?? 0 }));
  return { ...page, rows };
}

/** The class of a version that is called as ours, -1 where it has none. */
function sameClass(manifest: Manifest, index: number, label: string): number {
  if (manifest.classes[index]?.label === label) return index;
  return label === "" && manifest.classes[index] !== undefined
    ? index
    : manifest.classes.findIndex((one) => one.label === label);
}
