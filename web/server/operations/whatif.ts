import { z } from "zod";
import { exportedRows, groupsOfCut, ROW_FORMATS, ROW_TYPES } from "../../../pipelines/console/exported-rows.js";
import type { HeldSelection } from "../../../pipelines/console/held-selection.js";
import { cut } from "../../../pipelines/console/what-if-cut.js";
import { archivedTeacher } from "../../../pipelines/rebuild.js";
import type { SettingAnswer } from "../../../pipelines/whatif/whatif-answer.js";
import { datasetPath } from "../../../schemas/api/shared.js";
import { curveSchema, settingQuery, whatifSchema, type Answer } from "../../../schemas/api/whatif.js";
import { counted } from "../../../schemas/counted.js";
import type { Dataset } from "../../../schemas/dataset.js";
import type { Manifest } from "../../../schemas/manifest.js";
import type { Console } from "../console.js";
import { answering, streaming } from "../operation.js";
import { Refusal } from "../refusal.js";
import { stream } from "../stream.js";
import { ask, declaredDataset, pendingOf, undeclared, versionOrNone } from "./asked-ranking.js";

/** Points of a curve: enough for a line as wide as a screen */
const CURVE_POINTS = 60;

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
    const gone = await undeclaredVersion(console, path.dataset);
    if (gone !== null && isOwn) {
      const within = ofVersion(gone, query.k ?? gone.classes[0]?.k ?? 1);
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
