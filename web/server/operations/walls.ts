import { counted } from "../../../schemas/counted.js";
import { z } from "zod";
import { cut } from "../../../pipelines/console/what-if-cut.js";
import { exportedRows, groupsOfCut, ROW_FORMATS, ROW_TYPES } from "../../../pipelines/console/exported-rows.js";
import type { WallPage } from "../../../pipelines/console/wall/class-wall.js";
import type { HeldSelection } from "../../../pipelines/console/held-selection.js";
import type { AskedSelection, HeldAnswer } from "../../../pipelines/console/held-selections.js";
import { archivedTeacher } from "../../../pipelines/rebuild.js";
import type { SettingAnswer } from "../../../pipelines/whatif/whatif-answer.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import type { Dataset } from "../../../schemas/dataset.js";
import type { Manifest } from "../../../schemas/manifest.js";
import {
  classPath,
  datasetPath,
  pageQuery,
  versionPath,
  type AskedClass,
  type Pending,
} from "../../../schemas/api/shared.js";
import {
  curveSchema,
  facetsSchema,
  settingQuery,
  wallFilterQuery,
  wallSchema,
  whatifSchema,
  type Answer,
  type Wall,
} from "../../../schemas/api/whatif.js";
import { askedClass, placeOfClass } from "../asked-class.js";
import type { Console } from "../console.js";
import { answering, streaming } from "../operation.js";
import { Refusal } from "../refusal.js";
import { stream } from "../stream.js";
import { manifestOf, remember } from "./versions.js";

/** Points of a curve: enough for a line as wide as a screen */
const CURVE_POINTS = 60;

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
    const index = classes.length > 0 ? askedClass(classes, path.class) : isNamed ? 0 : (path.class as number);
    const label = classes[index]?.label ?? (isNamed ? (path.class as string).slice("name:".length) : "");
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

function undeclared(name: string): SluiceError {
  return new SluiceError(
    "E_DATASET_UNKNOWN",
    `Expected a declared dataset, found "${name}". \`sluice datasets list\` names them.`,
  );
}

export const whatif = answering(
  {
    route: "/api/datasets/{dataset}/whatif",
    summary: "what a version would be under another K, P, temperature or floor: the figures of `sluice whatif --json`",
    path: datasetPath,
    query: settingQuery,
    answer: whatifSchema,
  },
  async ({ console, path, query }) => {
    const isOwn = query.p === undefined && query.temperature === undefined && query.floor === undefined;
    const undeclared = await undeclaredVersion(console, path.dataset);
    if (undeclared !== null && isOwn) {
      const within = ofVersion(undeclared, query.k ?? undeclared.classes[0]?.k ?? 1);
      const refused =
        within === null ? `${path.dataset} is not declared any more, and its newest version has no more rows` : null;
      return { answer: within, pending: null, refused };
    }
    const dataset = await withSetting(console, path.dataset, query);
    // Each class has a K of its own where it is declared so, and nobody asks for another one.
    const k = query.k ?? (typeof dataset.select.k === "number" ? dataset.select.k : null);
    const asked = await ask(console, dataset, k ?? undefined);
    const leavesOut = asked.held?.leavesOut === true;
    const curve = asked.held === null || leavesOut ? null : await asked.held.curve();
    const found = curve === null ? null : k === null ? curve.standing : curve.at(k);
    const pending = found === null && !leavesOut ? pendingOf(asked) : null;
    const newest = asked.held?.newest ?? (await versionOrNone(console, path.dataset, "latest"));
    const named = newest === null ? null : { number: newest.number, id: newest.id };
    if (found !== null)
      return { answer: { ...exact(found, asked.held!), newest: named }, pending: null, refused: null };
    const within = newest === null || !isOwn || k === null ? null : ofVersion(newest, k);
    return {
      answer: within,
      pending,
      refused: within === null && pending === null ? (asked.refused ?? (leavesOut ? LEAVES_OUT : REFUSED)) : null,
    };
  },
);

const LEAVES_OUT =
  "near duplicates or guarded images are left out, which one by one must be compared for that: `sluice whatif` answers";
const REFUSED = "the archive cannot be ranked for this at the moment; `sluice whatif` says more";

export const curve = answering(
  {
    route: "/api/datasets/{dataset}/curve",
    summary: "rows, images, fill, cut-off and overlap for every K, as far as the ranking that is held goes",
    path: datasetPath,
    query: settingQuery,
    answer: curveSchema,
  },
  async ({ console, path, query }) => {
    const dataset = await withSetting(console, path.dataset, query);
    const asked = await ask(console, dataset, query.k);
    if (asked.held === null) return { curve: null, pending: pendingOf(asked), refused: asked.refused };
    if (asked.held.leavesOut) return { curve: null, pending: null, refused: LEAVES_OUT };
    const made = await asked.held.curve();
    const points = made.samples(CURVE_POINTS).flatMap((at) => {
      const answer = made.at(at);
      return answer === null ? [] : [pointOf(answer)];
    });
    const { k } = dataset.select;
    return {
      curve: {
        p: dataset.select.p,
        temperature: points[0]?.temperature ?? 1,
        exactTo: Number.isFinite(made.exactTo) ? made.exactTo : null,
        standing: typeof k === "number" ? k : null,
        points,
      },
      pending: pendingOf(asked),
      refused: null,
    };
  },
);

/** A cut takes memory as a rebuild does. */
let isCutting = false;

export const whatifRows = streaming(
  {
    route: "/api/datasets/{dataset}/whatif/rows",
    summary: "the rows that a version would have under another setting: as JSON, an Arrow stream, or Parquet",
    path: datasetPath,
    query: { ...settingQuery, format: z.enum(ROW_FORMATS).default("json") },
    types: Object.values(ROW_TYPES),
  },
  async ({ console, path, query, response, signal }) => {
    const dataset = await withSetting(console, path.dataset, query);
    const { config, declared } = await console.settings();
    const { card } = await archivedTeacher(console.store, undefined, declared.settings?.teacher);
    if (isCutting) {
      const message =
        "Expected one call for the rows of a what-if at a time, found another one at work: each takes memory as a rebuild does. Wait for it.";
      throw new Refusal(409, "E_LOCKED", message);
    }
    isCutting = true;
    try {
      const asked = { ...dataset, select: { ...dataset.select, k: query.k ?? dataset.select.k } };
      const made = await cut(console.store, asked, card, config.stream, signal);
      const chunks = exportedRows(groupsOfCut(made), query.format);
      await stream(response, ROW_TYPES[query.format], `${dataset.name}-what-if.${query.format}`, chunks, signal);
    } finally {
      isCutting = false;
    }
  },
);

async function ask(console: Console, dataset: Dataset, k?: number): Promise<HeldAnswer> {
  const { config, declared } = await console.settings();
  const { select } = dataset;
  if (!select.balanced || select.overlap === "best" || select.repeat) {
    const refused = `classes of ${dataset.name} are not chosen each for itself (${select.repeat ? "repeat" : select.balanced ? "overlap: best" : "balanced: false"}): \`sluice whatif\` answers for it`;
    return { held: null, reading: null, refused };
  }
  try {
    const { card } = await archivedTeacher(console.store, undefined, declared.settings?.teacher);
    const asked: AskedSelection = { dataset, card, stream: config.stream, k };
    return await console.held.ask(asked);
  } catch (error) {
    if (!isSluiceError(error, "E_TEACHER_CARD") && !isSluiceError(error, "E_SELECTION")) throw error;
    return { held: null, reading: null, refused: error.message };
  }
}

/** A page of a wall with how often something was said of each image. */
async function seenOf(console: Console, page: WallPage): Promise<WallPage & Pick<Wall, "rows">> {
  const said = await console.said.all();
  const rows = page.rows.map((one) => ({ ...one, seen: said.get(one.row.sha256)?.length ?? 0 }));
  return { ...page, rows };
}

async function declaredDataset(console: Console, name: string): Promise<Dataset | null> {
  const { config } = await console.settings();
  return config.datasets.find((dataset) => dataset.name === name) ?? null;
}

/** The newest version of a dataset that nobody declares any more; null where it is declared, or has none. */
async function undeclaredVersion(console: Console, name: string): Promise<Manifest | null> {
  return (await declaredDataset(console, name)) === null ? versionOrNone(console, name, "latest") : null;
}

async function withSetting(
  console: Console,
  name: string,
  {
    p,
    temperature,
    floor,
  }: {
    readonly p?: number | undefined;
    readonly temperature?: number | undefined;
    readonly floor?: number | undefined;
  },
): Promise<Dataset> {
  const dataset = await declaredDataset(console, name);
  if (dataset === null) {
    throw undeclared(name);
  }
  const select = { ...dataset.select, ...(p === undefined ? {} : { p }), ...(floor === undefined ? {} : { floor }) };
  return { ...dataset, select: temperature === undefined ? select : { ...select, temperature } };
}

async function versionOrNone(console: Console, dataset: string, version: string): Promise<Manifest | null> {
  try {
    return await manifestOf(console, { dataset, version });
  } catch (error) {
    if (version === "latest" && isSluiceError(error, "E_VERSION_MISSING")) return null;
    throw error;
  }
}

/** The class of a version that is called as ours, -1 where it has none. */
function sameClass(manifest: Manifest, index: number, label: string): number {
  if (manifest.classes[index]?.label === label) return index;
  return label === "" && manifest.classes[index] !== undefined
    ? index
    : manifest.classes.findIndex((one) => one.label === label);
}

function pendingOf({ reading }: HeldAnswer): Pending | null {
  return reading === null ? null : { pending: true, ...reading };
}

function pointOf({ k, p, temperature, rows, images, classes, full, cutoff, overlap, from }: SettingAnswer) {
  return { k, p, temperature, rows, images, classes, full, cutoff, overlap, from };
}

function exact(answer: SettingAnswer, held: HeldSelection): Omit<Answer, "newest"> {
  return {
    ...answer,
    exact: true,
    why: `exact from ${answer.from} of ${counted(held.records, "archived record")}`,
  };
}

/** Prefixes of the version's own rows: exact about them, and about nothing that came since. */
function ofVersion(manifest: Manifest, k: number): Answer | null {
  const counts = manifest.classes.map(({ label, count, repeated }) => ({
    label,
    rows: count - repeated,
    most: count - repeated,
  }));
  // Beyond the version's own K only the archive knows more.
  if (manifest.classes.some((one) => k > one.k)) return null;
  const { balanced, overlap, repeat } = manifest.select;
  if (!balanced || overlap !== "all" || repeat) return null;
  const rows = counts.reduce((sum, one) => sum + Math.min(k, one.most), 0);
  const starving = counts.filter(({ rows: has }) => has < k).map(({ label, rows: has }) => ({ label, rows: has }));
  return {
    k,
    p: manifest.select.p,
    temperature: manifest.select.temperature ?? manifest.teacher.temperature,
    rows,
    images: null,
    classes: counts.length,
    full: counts.length - starving.length,
    starving: starving.sort((a, b) => a.rows - b.rows),
    cutoff: null,
    overlap: rows === 0 ? null : 1,
    from: "version",
    exact: true,
    why: `exact of version ${manifest.number}; what came since is not counted`,
    newest: { number: manifest.number, id: manifest.id },
  };
}
