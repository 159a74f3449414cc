import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import { putHashed, type Store } from "../../connectors/store/store.js";
import type { Allowance } from "../../schemas/allowance.js";
import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Drift } from "../../schemas/drift.js";
import { keys } from "../../schemas/keys.js";
import { LEFT_OUT_FILE, leftOutLine } from "../../schemas/left-out.js";
import { sameNames } from "../../schemas/class-names.js";
import { MANIFEST_VERSION, versionLabels, type Manifest, type ManifestFile } from "../../schemas/manifest.js";
import { refuseLostBytes, refuseUnwantedRows } from "./unwanted.js";
import { rowGroup, VersionSummary, type RowGroup } from "./publish-plan.js";
import { claimAttempt, removeAttempt } from "./attempt.js";
import { commitVersion, isSameVersion, refuseRegress, type CommitPolicy, type Draft } from "./commit-version.js";
import { onSheets, SHEETS, writeSheets } from "./contact-sheet.js";
import { croissant } from "./croissant.js";
import { FetchedImages, type ReadImages } from "./fetched-images.js";
import type { Absence } from "../image/image-bytes.js";
import { IndexWriter } from "./index-writer.js";
import { newestManifest } from "./manifests.js";
import { ShardWriter } from "./shard-writer.js";
import { throwIfStopped } from "../archive/throw-if-stopped.js";
import { versionReadme } from "./version-readme.js";

export interface PublishProgress {
  readonly phase: "write" | "commit";
  /** Rows whose images have been read or are known to be absent */
  readonly rows: number;
  readonly bytesAbsent: number;
  /** Classes whose rows are in the index */
  readonly classes: number;
  readonly classCount: number;
}

export interface PublishOptions extends CommitPolicy {
  readonly store: Store;
  /** Reads the images' bytes: each image once, where the store has room for them meanwhile */
  readonly read: ReadImages;
  /** Is given each group of rows before the bytes of its images are asked for */
  readonly expect?: (group: RowGroup) => void;
  /** Draws contact sheets; null for none */
  readonly sheets: SheetRenderer | null;
  readonly now: () => Date;
  readonly codeVersion: string;
  /** Names this attempt's files: unique, [A-Za-z0-9._-] */
  readonly attempt: string;
  /** Unique: tells this publisher's manifest from another's of the same content */
  readonly commitId: string;
  /** Rows in memory and shuffled together, beside one class more; each takes some 800 bytes. Default 2^19. */
  readonly groupRows?: number;
  /** Image bytes in memory between being read and being written; more wait in a scratch file of the store. Default 32 MiB. */
  readonly memoryBytes?: number;
  /** The version that this cut may repeat: the newest one of its span. By default the dataset's newest. */
  readonly same?: Manifest | null | undefined;
  /** The dataset's newest version as far as the publisher knows: where others have published since, the commit finds out. By default it is looked up. */
  readonly parent?: Manifest | undefined;
  /** What may be published although nobody could want it; by default all: who publishes on somebody's behalf says */
  readonly allow?: Allowance;
  /** For the manifest */
  readonly drift?: Drift | null;
  /** Absences that `read` has met, for the message */
  readonly absences?: readonly Absence[];
  readonly onProgress?: (progress: PublishProgress) => void;
  readonly signal?: AbortSignal;
}

export interface Published {
  readonly manifest: Manifest;
  /** `unchanged`: the newest version (of the span) is this one already. `exists`: another publisher published it meanwhile. */
  readonly outcome: "created" | "unchanged" | "exists";
}

/**
 * Makes a cut a version: index, shards, sheets and descriptions go to a place of this attempt, and the manifest, created
 * only if absent, makes them a version. Whatever fails before leaves no version, and files that are removed here or by
 * `sweepAttempts`. Equal cuts give equal files. Rows pass once, a group of classes at a time.
 * Throws E_PUBLISH_CONFLICT, E_PUBLISH_EMPTY, E_PUBLISH_STARVING, E_PUBLISH_ABSENT (see `allow`), E_CANCELLED, E_INTERNAL (a cut that breaks its contract) and what store and source throw.
 */
export async function publish(cut: Cut, options: PublishOptions): Promise<Published> {
  const { store, attempt, commitId, signal } = options;
  const dataset = cut.dataset.name;
  const folder = keys.attempt(dataset, attempt);
  const parent = options.parent ?? (await newestManifest(store, dataset));
  const policed = { dataset, teacher: cut.teacher, provenance: provenanceOf(cut) };
  refuseRegress(policed, parent, options);
  const reached = { commit: false };
  try {
    const same = options.same === undefined ? parent : options.same;
    const written = await writeVersion(cut, folder, options, same);
    if (written === null) return { manifest: same!, outcome: "unchanged" };
    // The same rows with fewer bytes absent are worth another version.
    if (same !== null && isSameVersion(written, same) && written.totals.bytesAbsent >= same.totals.bytesAbsent) {
      await removeAttempt(store, folder);
      return { manifest: same, outcome: "unchanged" };
    }
    const claim = async (number: number): Promise<void> => {
      await claimAttempt(store, folder, { commitId, number }, written.files);
      throwIfStopped(signal, STOPPED);
      reached.commit = true;
    };
    const result = await commitVersion(store, written, parent, { ...options, claim });
    if (result.outcome === "exists") await removeAttempt(store, folder);
    return result;
  } catch (error) {
    // After a failed commit the version may exist, unless another's content is known to be in its place.
    const mayExist = reached.commit && !isSluiceError(error, "E_PUBLISH_CONFLICT");
    if (!mayExist) await removeLeftovers(store, folder);
    throw error;
  }
}

/** What cannot be removed is left to `sweepAttempts`: the caller is told what failed first. */
async function removeLeftovers(store: Store, folder: string): Promise<void> {
  try {
    await removeAttempt(store, folder);
  } catch (error) {
    if (!isSluiceError(error) || !error.code.startsWith("E_STORE_")) throw error;
  }
}

const STOPPED = "The publication was stopped on request; nothing of it is visible. Publish again.";

/** The version's id, without writing anything. Takes the cut's rows: they pass once. */
export async function versionId(cut: Cut): Promise<string> {
  const summary = new VersionSummary(cut, { countImages: false });
  for await (const rows of cut.classes) summary.add(rows);
  return summary.id();
}

/** Writes the attempt's files. Null where nothing was written because `same` is this version: known early when all rows fit one group. */
async function writeVersion(
  cut: Cut,
  folder: string,
  options: PublishOptions,
  same: Manifest | null,
): Promise<Draft | null> {
  const { store, read, memoryBytes = 32 * 2 ** 20, signal, onProgress } = options;
  const totals = { rows: 0, bytesAbsent: 0, classes: 0 };
  const report = (phase: PublishProgress["phase"]): void =>
    onProgress?.({ phase, ...totals, classCount: cut.labels.length });
  const images = new FetchedImages({
    store,
    read,
    memoryBytes,
    beforeImage: () => {
      throwIfStopped(signal, STOPPED);
    },
    onRead: (rows) => {
      const before = totals.rows;
      totals.rows += rows;
      if (before >> 8 !== totals.rows >> 8) report("write");
    },
  });
  try {
    return await writeFiles(cut, folder, options, same, { images, totals, report });
  } finally {
    await images.close();
  }
}

interface Writing {
  readonly images: FetchedImages;
  readonly totals: { bytesAbsent: number; classes: number };
  readonly report: (phase: PublishProgress["phase"]) => void;
}

async function writeFiles(
  cut: Cut,
  folder: string,
  options: PublishOptions,
  same: Manifest | null,
  { images, totals, report }: Writing,
): Promise<Draft | null> {
  const { store, sheets, signal, allow } = options;
  const { labels } = cut;
  const summary = new VersionSummary(cut);
  let lost = 0;
  const shards = new ShardWriter({
    store,
    images,
    folder: `${folder}shards/`,
    layout: cut.dataset.shards,
    source: {
      dataset: cut.dataset.name,
      labels,
      quota: cut.quota,
      p: cut.dataset.select.p,
      teacher: cut.teacher,
    },
    onSample: (inShard, had) => {
      if (!inShard) totals.bytesAbsent++;
      if (!inShard && had) lost++;
    },
  });
  const index = new IndexWriter({ store, folder: `${folder}index/`, labels });
  const sheetFiles: ManifestFile[] = [];
  const leftOut: string[] = [];

  for await (const { group, last } of groups(cut.classes, options.groupRows ?? 2 ** 19)) {
    throwIfStopped(signal, STOPPED);
    for (const rows of group.classes) {
      summary.add(rows);
      for (const one of rows.leftOut ?? []) leftOut.push(leftOutLine({ class: rows.class, ...one }));
    }
    const isSame = last && same !== null && summary.id() === same.id;
    // With bytes absent there, this one may have found them.
    const mayRepeat = isSame && same.totals.bytesAbsent === 0 && sameNames(labels, versionLabels(same));
    if (mayRepeat && totals.classes === 0) return null;
    if (last && !isSame && allow !== undefined) {
      const { select, name } = cut.dataset;
      const { classes, rows } = summary;
      refuseUnwantedRows({ dataset: name, select, classes, rows, records: cut.records }, allow);
    }
    options.expect?.(group);
    const kept = sheets === null ? null : onSheets(group, sheets);
    const shardOf = await shards.write(group, (position) => kept?.has(position) ?? false);
    await index.write(group, shardOf);
    if (sheets !== null) {
      for (const [at, rows] of group.classes.entries()) {
        throwIfStopped(signal, STOPPED);
        const imageOf = (row: number): Promise<Uint8Array | null> => images.kept(group.starts[at]! + row);
        sheetFiles.push(...(await writeSheets(rows, { store, imageOf, sheets, folder: `${folder}${SHEETS}/` })));
      }
    }
    totals.classes += group.classes.length;
    report("write");
  }
  if (allow !== undefined && summary.id() !== same?.id)
    refuseLostBytes({ dataset: cut.dataset.name, rows: summary.rows }, lost, options.absences ?? [], allow);
  const described = {
    schemaVersion: MANIFEST_VERSION,
    dataset: cut.dataset.name,
    id: summary.id(),
    select: cut.dataset.select,
    span: cut.span,
    ...(cut.guard == null ? {} : { guard: cut.guard }),
    ...(cut.dataset.labels === "retract" ? { labels: "retract" as const } : {}),
    teacher: cut.teacher,
    classes: summary.classes,
    totals: {
      rows: summary.rows,
      images: summary.images,
      bytesAbsent: totals.bytesAbsent,
      records: cut.records,
    },
  } as const;
  const readme = await putText(
    store,
    `${folder}README.md`,
    versionReadme(described, { shards: shards.files.length, sheets: sheetFiles.length }),
  );
  const out = leftOut.length === 0 ? [] : [await putText(store, `${folder}${LEFT_OUT_FILE}`, leftOut.join(""))];
  const metadata = await putText(
    store,
    `${folder}croissant.json`,
    croissant(described, folder, [...index.files, ...shards.files, readme]),
  );
  report("commit");
  return {
    ...described,
    classes: [...described.classes],
    files: [...index.files, ...shards.files, ...sheetFiles, readme, ...out, metadata],
    provenance: {
      ...provenanceOf(cut),
      lost: [...cut.lost],
      ...((cut.read?.deeper ?? 0) === 0 ? {} : { readDeeper: cut.read!.deeper }),
      ...((cut.scores?.length ?? 0) === 0
        ? {}
        : { scores: cut.scores!.map((one) => ({ ...one, frontier: [...one.frontier] })) }),
      ...(options.drift == null ? {} : { drift: options.drift }),
      engines: [...cut.engines],
      incomplete: cut.incomplete,
      codeVersion: options.codeVersion,
      createdAt: options.now().toISOString(),
      commitId: options.commitId,
      trigger: cut.trigger,
    },
  };
}

function provenanceOf({ stream, frontier, labelFrontier }: Cut) {
  return { stream, frontier, labels: labelFrontier };
}

/** Consecutive classes until a group has `groupRows` rows; the last group knows that it is the last. */
async function* groups(
  classes: AsyncIterable<ChosenRows>,
  groupRows: number,
): AsyncGenerator<{ group: RowGroup; last: boolean }> {
  let held: ChosenRows[] = [];
  let rows = 0;
  for await (const next of classes) {
    if (held.length > 0 && rows + next.count > groupRows) {
      yield { group: rowGroup(held), last: false };
      held = [];
      rows = 0;
    }
    held.push(next);
    rows += next.count;
  }
  yield { group: rowGroup(held), last: true };
}

async function putText(store: Store, key: string, text: string): Promise<ManifestFile> {
  return { key, ...(await putHashed(store, key, [new TextEncoder().encode(text)])), rows: null };
}
