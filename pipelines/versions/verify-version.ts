import type { Store } from "../../connectors/store/store.js";
import { isClaim } from "../../operators/version/attempt.js";
import { lostSince } from "../../operators/archive/lost-ranges.js";
import { findManifest, readManifest, redactionsOf } from "../../operators/version/manifests.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { LostRange } from "../../schemas/lost-range.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { Findings, type Finding } from "./findings.js";
import { hashObject } from "./hashed-stream.js";
import { readIndexFile, type IndexColumns } from "./index-reader.js";
import { shardFiles } from "./shard-reader.js";
import { IndexAudit } from "./verify-index.js";
import { compareObject, ExpectedSamples } from "./verify-shards.js";

const STOPPED = "The verification was stopped on request.";

export type RecordTotals = Manifest["totals"]["records"];

export interface VerifyOptions {
  /** What the archive's own headers add up to over the manifest's frontier; without it the totals are only added up */
  readonly chainTotals?: (manifest: Manifest) => Promise<RecordTotals>;
  /** What was declared lost of the version's archive, by number; by default nothing */
  readonly lostRanges?: (manifest: Manifest) => Promise<readonly LostRange[]>;
  readonly onProgress?: (progress: { rows: number; totalRows: number; images: number }) => void;
  readonly signal?: AbortSignal;
}

export interface VerifyReport {
  /** null where there is a manifest that does not read as one */
  readonly manifest: Manifest | null;
  /** Nothing wrong: none. At most the first 1000. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** Images that were erased from it */
  readonly redacted: number;
  readonly checked: { readonly files: number; readonly rows: number; readonly images: number };
  /** What was declared lost of the archive since the version was cut over it: no finding, but it cannot be cut again as it is */
  readonly lostSince: readonly LostSince[];
}

export interface LostSince {
  readonly partition: number;
  /** Offsets [start, end) */
  readonly start: number;
  readonly end: number;
  readonly reason: string;
  /** Rows of the version that are from there */
  readonly rows: number;
}

/**
 * Reads a version whole and reports all that is not as it must be: files (size, SHA-256, none missing, none added), index
 * (order, ranks, id, classes, totals), images (each in its shard, with its digest), records (they add up, and to what
 * the archive says). Memory holds the rows of one index file. Throws E_VERSION_MISSING and what the store throws.
 */
export async function verifyVersion(
  store: Store,
  dataset: string,
  version: number | "latest",
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings = new Findings();
  let manifest: Manifest;
  try {
    manifest = await readManifest(store, dataset, version);
  } catch (error) {
    if (!isSluiceError(error, "E_VERSION_CORRUPT")) throw error;
    findings.add(`versions/${dataset}/${version}`, "a manifest", error.message);
    return { ...report(null, findings, { files: 0, rows: 0, images: 0 }, 0), lostSince: [] };
  }
  const folder = folderOf(manifest);
  if (version !== "latest") findings.compare("manifest: number", version, manifest.number);
  findings.compare("manifest: dataset", dataset, manifest.dataset);
  await checkParent(store, manifest, findings);
  const ranges = (await options.lostRanges?.(manifest)) ?? [];
  const lost = lostSince(manifest, ranges).map((number) => ({ range: ranges[number]!, rows: 0 }));
  const { rows, images } = await checkRows(store, manifest, findings, lost, options);
  for (const file of manifest.files) {
    // Index files and shards were hashed as they were read.
    if (/\.(tar|parquet)$/.test(file.key)) continue;
    throwIfStopped(options.signal, STOPPED);
    compareObject(file, await hashObject(store, file.key), findings);
    findings.compare(`${file.key}: rows`, null, file.rows);
  }
  await checkFolder(store, manifest, folder, findings);
  // What the archive says of records by now is not what it said then.
  await checkRecords(manifest, findings, lost.length === 0 ? options.chainTotals : undefined);
  const redacted = (await redactionsOf(store, dataset, manifest.number)).at(-1)?.erased.length ?? 0;
  return {
    ...report(manifest, findings, { files: manifest.files.length, rows, images }, redacted),
    lostSince: lost.map(({ range: { partition, start, end, reason }, rows }) => ({
      ...{ partition, start, end, reason, rows },
    })),
  };
}

/** Index file by index file: its rows, and the shards that they say they are in. */
async function checkRows(
  store: Store,
  manifest: Manifest,
  findings: Findings,
  lost: readonly { readonly range: LostRange; rows: number }[],
  { onProgress, signal }: VerifyOptions,
): Promise<{ rows: number; images: number }> {
  const audit = new IndexAudit(manifest, findings);
  const shards = new Map(shardFiles(manifest).map((file) => [file.key.slice(file.key.lastIndexOf("/") + 1), file]));
  let images = 0;
  /** Every index file is the one that was published: only those are decoded, since a damaged one may keep its reader for ever */
  let isWhole = true;
  const progress = (): void => onProgress?.({ rows: audit.rows, totalRows: manifest.totals.rows, images });
  for (const file of manifest.files.filter(({ key }) => key.endsWith(".parquet"))) {
    throwIfStopped(signal, STOPPED);
    if (!compareObject(file, await hashObject(store, file.key), findings)) {
      isWhole = false;
      continue;
    }
    const expected = new ExpectedSamples();
    const before = audit.rows;
    try {
      for await (const columns of readIndexFile(store, manifest, file)) {
        audit.add(columns, file.key);
        expected.add(columns, file.key, findings);
        for (const one of lost) one.rows += rowsIn(columns, one.range);
        progress();
      }
      findings.compare(`${file.key}: rows`, file.rows, audit.rows - before);
    } catch (error) {
      if (!isSluiceError(error, "E_VERSION_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      findings.add(file.key, "an index in Parquet", error.message);
    }
    for (const name of expected.shards) {
      const shard = shards.get(name);
      if (shard === undefined) continue; // its rows are reported as having no sample
      throwIfStopped(signal, STOPPED);
      shards.delete(name);
      await expected.check(store, shard, findings, () => {
        images++;
        if (images % 1000 === 0) progress();
      });
    }
    expected.finish(findings);
  }
  for (const file of shards.values()) {
    // All that was in it was erased, or nobody knows what should be in it.
    if (file.rows === 0 || !isWhole) compareObject(file, await hashObject(store, file.key), findings);
    else findings.add(file.key, "rows of the index that are in this shard", "none");
  }
  if (isWhole) audit.finish();
  progress();
  return { rows: audit.rows, images };
}

/** Rows of an index that are of a range's offsets */
function rowsIn(
  { partition, offset }: Pick<IndexColumns, "partition" | "offset">,
  range: Pick<LostRange, "partition" | "start" | "end">,
): number {
  let rows = 0;
  for (let row = 0; row < offset.length; row++) {
    const at = Number(offset[row]!);
    if (partition[row] === range.partition && range.start <= at && at < range.end) rows++;
  }
  return rows;
}

/** Nothing lies in the version's folder that its manifest does not name: a reader who lists it would take it in. */
async function checkFolder(store: Store, manifest: Manifest, folder: string, findings: Findings): Promise<void> {
  const named = new Set(manifest.files.map(({ key }) => key));
  for (const { key } of manifest.files) {
    if (!key.startsWith(folder)) findings.add("manifest: files", `keys under ${folder}`, key);
  }
  findings.compare("manifest: files named twice", 0, manifest.files.length - named.size);
  for await (const { key } of store.list(folder)) {
    if (!named.has(key) && !isClaim(key)) findings.add(key, "only files that the manifest names", "this one");
  }
}

/** A parent that retention removed is no finding. */
async function checkParent(store: Store, manifest: Manifest, findings: Findings): Promise<void> {
  const { parent } = manifest.provenance;
  if (parent === null) return;
  if (parent.number >= manifest.number)
    findings.add("manifest: parent", `a number below ${manifest.number}`, parent.number);
  try {
    const found = await findManifest(store, manifest.dataset, parent.number);
    if (found !== null) findings.compare("manifest: parent's id", found.id, parent.id);
  } catch (error) {
    // The parent has its own verification.
    if (!isSluiceError(error, "E_VERSION_CORRUPT")) throw error;
  }
}

async function checkRecords(
  manifest: Manifest,
  findings: Findings,
  chainTotals: VerifyOptions["chainTotals"],
): Promise<void> {
  const { records } = manifest.totals;
  const sum = records.scored + records.copied + records.quarantined + records.lost;
  findings.compare("manifest: records in = scored + copied + quarantined + lost", sum, records.in);
  if (chainTotals === undefined) return;
  const archived = await chainTotals(manifest);
  for (const name of ["in", "scored", "copied", "quarantined", "lost"] as const) {
    findings.compare(`manifest: records ${name}, against the archive`, archived[name], records[name]);
  }
}

/** The attempt's folder that the files lie in. */
function folderOf(manifest: Manifest): string {
  const prefix = keys.attempts(manifest.dataset);
  const first: ManifestFile | undefined = manifest.files.find(({ key }) => key.startsWith(prefix));
  return first === undefined ? prefix : first.key.slice(0, first.key.indexOf("/", prefix.length) + 1);
}

function report(
  manifest: Manifest | null,
  findings: Findings,
  checked: VerifyReport["checked"],
  redacted: number,
): Omit<VerifyReport, "lostSince"> {
  return { manifest, findings: findings.list, findingCount: findings.count, redacted, checked };
}
