import { z } from "zod";
import { classDifference } from "../../../pipelines/console/class-difference.js";
import { exportedRows, groupsOfVersion, ROW_FORMATS, ROW_TYPES } from "../../../pipelines/console/exported-rows.js";
import { chainTotals } from "../../../pipelines/versions/chain-totals.js";
import { publishedDatasets, readIndexColumns, readTags, verifyVersion } from "../../../pipelines/versions/versions.js";
import { versionList } from "../../../pipelines/versions/version-list.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { manifestSchema, type Manifest } from "../../../schemas/manifest.js";
import { classPath, datasetPath, pageQuery, versionPath, type AskedClass } from "../../../schemas/api/shared.js";
import {
  CLASS_ORDERS,
  REASONS,
  classDiffSchema,
  classPageSchema,
  classRowsSchema,
  diffSchema,
  tagListSchema,
  verifySchema,
  versionListSchema,
  type VersionClass,
} from "../../../schemas/api/versions.js";
import type { Console } from "../console.js";
import { answering, streaming } from "../operation.js";
import { askedClass } from "../asked-class.js";
import { stream } from "../stream.js";

export const versions = answering(
  { route: "/api/versions", summary: "what `sluice versions list --json` says", answer: versionListSchema },
  async ({ console }) => {
    const { config } = await console.settings();
    const names = new Set([...config.datasets.map(({ name }) => name), ...(await publishedDatasets(console.store))]);
    return versionList(console.store, names);
  },
);

export const tags = answering(
  {
    route: "/api/tags/{dataset}",
    summary: "what versions are called, as `sluice versions tags --json`",
    path: datasetPath,
    answer: tagListSchema,
  },
  async ({ console, path: { dataset } }) => ({
    dataset,
    tags: (await readTags(console.store, dataset)).flatMap((tag) =>
      tag.number === null ? [] : [{ ...tag, number: tag.number }],
    ),
  }),
);

export const version = answering(
  {
    route: "/api/versions/{dataset}/{version}",
    summary: "a version's manifest, as `sluice versions show --json`",
    path: versionPath,
    answer: manifestSchema,
  },
  ({ console, path }) => manifestOf(console, path),
);

export const classes = answering(
  {
    route: "/api/versions/{dataset}/{version}/classes",
    summary: "the classes of a version: sorted, searched, a page at a time",
    path: versionPath,
    query: {
      ...pageQuery,
      order: z
        .enum(CLASS_ORDERS)
        .default("starving")
        .describe("starving: the emptiest first; change: of the cut-off; drift: of the share of what comes"),
      search: z.string().max(200).default("").describe("part of a label, or #number"),
    },
    answer: classPageSchema,
  },
  async ({ console, path, query }) => {
    const manifest = await manifestOf(console, path);
    const parent = await parentOf(console, manifest);
    const drift = console.drift.of(manifest, parent);
    const shares = drift === "pending" ? null : drift;
    const all = manifest.classes.map((one): VersionClass => {
      const before = parent?.classes[one.class]?.label === one.label ? parent.classes[one.class] : undefined;
      return {
        ...one,
        countBefore: before?.count ?? null,
        worstBefore: before?.worst ?? null,
        share: shares?.now[one.class] ?? null,
        shareBefore: shares?.before?.[one.class] ?? null,
        shares: shares?.parts.map((part) => part?.[one.class] ?? null) ?? null,
      };
    });
    const wanted = query.search.trim().toLowerCase();
    const found = all.filter(
      ({ label, class: number }) => wanted === "" || `#${number}` === wanted || label.toLowerCase().includes(wanted),
    );
    const inOrder = found.toSorted(ORDERS[query.order]);
    return {
      dataset: manifest.dataset,
      number: manifest.number,
      id: manifest.id,
      parent: parent?.number ?? null,
      found: found.length,
      classes: all.length,
      full: all.filter(({ starving }) => !starving).length,
      drift:
        shares?.before == null
          ? null
          : { rowsNow: shares.rowsNow, rowsBefore: shares.rowsBefore, isWhole: shares.isWhole },
      pending:
        drift === "pending"
          ? { pending: true as const, what: "how often each class comes", done: 0, total: null }
          : null,
      rows: inOrder.slice(query.from, query.from + query.limit),
    };
  },
);

const fillOf = ({ count, repeated, k }: VersionClass): number => (count - repeated) / k;
const changeOf = ({ worst, worstBefore }: VersionClass): number => Math.abs((worst ?? 0) - (worstBefore ?? worst ?? 0));
const driftOf = ({ share, shareBefore }: VersionClass): number => Math.abs((share ?? 0) - (shareBefore ?? share ?? 0));
const byNumber = (a: VersionClass, b: VersionClass): number => a.class - b.class;
const ORDERS: Readonly<Record<(typeof CLASS_ORDERS)[number], (a: VersionClass, b: VersionClass) => number>> = {
  starving: (a, b) => fillOf(a) - fillOf(b) || byNumber(a, b),
  number: byNumber,
  label: (a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : byNumber(a, b)),
  cutoff: (a, b) => (a.worst ?? -1) - (b.worst ?? -1) || byNumber(a, b),
  change: (a, b) => changeOf(b) - changeOf(a) || byNumber(a, b),
  drift: (a, b) => driftOf(b) - driftOf(a) || byNumber(a, b),
};

export const classRows = answering(
  {
    route: "/api/versions/{dataset}/{version}/classes/{class}/rows",
    summary: "the images of a class in a version, best first",
    path: { ...versionPath, ...classPath },
    query: pageQuery,
    answer: classRowsSchema,
  },
  async ({ console, path, query }) => {
    const manifest = await manifestOf(console, path);
    const one = classOf(manifest, path.class);
    const rows = await console.groups.rowsOf(manifest, one.class, query.from, query.from + query.limit);
    remember(console, rows);
    return {
      dataset: manifest.dataset,
      number: manifest.number,
      class: one.class,
      label: one.label,
      total: one.count,
      rows,
    };
  },
);

export const rows = streaming(
  {
    route: "/api/versions/{dataset}/{version}/rows",
    summary: "all rows of a version: as JSON, an Arrow stream, or Parquet",
    path: versionPath,
    query: { format: z.enum(ROW_FORMATS).default("json") },
    types: Object.values(ROW_TYPES),
  },
  async ({ console, path, query, response, signal }) => {
    const manifest = await manifestOf(console, path);
    const chunks = exportedRows(groupsOfVersion(readIndexColumns(console.store, manifest)), query.format);
    await stream(
      response,
      ROW_TYPES[query.format],
      `${manifest.dataset}-${manifest.number}.${query.format}`,
      chunks,
      signal,
    );
  },
);

const pairQuery = {
  dataset: datasetPath.dataset,
  before: versionPath.version.describe("the earlier version"),
  after: versionPath.version.describe("the later version"),
};

export const diff = answering(
  { route: "/api/diff", summary: "what `sluice versions diff --json` says", query: pairQuery, answer: diffSchema },
  async ({ console, query }) => {
    const [before, after] = await pairOf(console, query);
    return console.differences.of(before, after);
  },
);

export const diffRows = answering(
  {
    route: "/api/diff/rows",
    summary: "the images of one class that entered, left or moved, each with its reason",
    query: {
      ...pairQuery,
      class: classPath.class.describe("a class: by its place in the diff, or `name:` and what it is called"),
      reason: z.enum(REASONS).optional().describe("only images that changed for this reason"),
      ...pageQuery,
    },
    answer: classDiffSchema,
  },
  async ({ console, query }) => {
    const [before, after] = await pairOf(console, query);
    const { classes: pairs } = await console.differences.of(before, after);
    const pair = pairs[askedClass(pairs, query.class)]!;
    const why = await console.differences.reasons(before, after);
    const found = await classDifference(console.groups, why, [before, after], pair, query);
    for (const { rows: changed } of [found.entered, found.left, found.moved])
      remember(
        console,
        changed.map(({ row }) => row),
      );
    return found;
  },
);

export const verify = answering(
  {
    route: "/api/versions/{dataset}/{version}/verify",
    summary: "reads a version whole, and says whether it is as it must be",
    path: versionPath,
    answer: verifySchema,
  },
  async ({ console, path, signal }) => {
    const number = path.version === "latest" ? "latest" : Number(path.version);
    const report = await verifyVersion(console.store, path.dataset, number, {
      chainTotals: (manifest) => chainTotals(console.store, manifest),
      signal,
    });
    const { findings, findingCount, checked } = report;
    return {
      ok: findingCount === 0,
      findingCount,
      findings: findings.slice(0, 50).map(({ where, expected, found }) => ({
        message: `${where}: expected ${expected}, found ${found}`,
      })),
      checked,
    };
  },
);

export function manifestOf(
  console: Console,
  path: { readonly dataset: string; readonly version: string },
): Promise<Manifest> {
  return console.manifests.of(path.dataset, path.version === "latest" ? "latest" : Number(path.version));
}

/** Throws a refusal where the version has no such class. */
export function classOf(manifest: Manifest, asked: AskedClass): Manifest["classes"][number] {
  return manifest.classes[askedClass(manifest.classes, asked, ` of version ${manifest.dataset}/${manifest.number}`)]!;
}

async function pairOf(
  console: Console,
  query: { readonly dataset: string; readonly before: string; readonly after: string },
): Promise<readonly [Manifest, Manifest]> {
  const { dataset } = query;
  const before = await manifestOf(console, { dataset, version: query.before });
  return [before, await manifestOf(console, { dataset, version: query.after })];
}

/** The version that one was made after; null where it has none, or its manifest cannot be read. */
export async function parentOf(console: Console, { dataset, provenance }: Manifest): Promise<Manifest | null> {
  if (provenance.parent === null) return null;
  try {
    return await console.manifests.of(dataset, provenance.parent.number);
  } catch (error) {
    if (isSluiceError(error, "E_VERSION_MISSING") || isSluiceError(error, "E_VERSION_CORRUPT")) return null;
    throw error;
  }
}

/** What is listed is asked for next, by its digest. */
export function remember(
  console: Console,
  listed: readonly {
    readonly sha256: string;
    readonly uri: string;
    readonly sizeBytes: number;
    readonly bytes: string;
  }[],
): void {
  for (const { sha256, uri, sizeBytes } of listed) {
    console.finder.remember(sha256, { uri, sizeBytes, pack: null });
  }
}
