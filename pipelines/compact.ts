import type { Store } from "../connectors/store/store.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import {
  compactChain,
  RUN_SEGMENTS,
  STOPPED,
  type CompactedRun,
  type RefusedSegment,
} from "../operators/archive/compact-chain.js";
import { oldestPin } from "../operators/archive/pins.js";
import { sweepChain, type Swept } from "../operators/archive/sweep-chain.js";
import { mergePacks } from "../operators/pack/merge-packs.js";
import { sweepPacks } from "../operators/pack/sweep-packs.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import type { ChainName } from "../schemas/keys.js";
import type { OnProgress } from "../schemas/progress.js";

/** How long what a run has taken over stays, without pins: a reader that has it open has nearly always finished then. */
export const SWEEP_AFTER_MS = 60 * 60 * 1000;
/** Of a chain's packs only what was made of so many runs last is swept beside scoring: what is older, by hand. */
const SWEPT_BESIDE = 256;

export interface CompactOptions {
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  /** Only what fills a run (more than 256 segments, or some 100 MB), and runs that fill a higher one; by default everything */
  readonly dueOnly?: boolean;
  /** Only segments all of whose images, and all before them, have an event time before this; null: all. ms since the epoch. */
  readonly beforeMs?: number | null;
  /** Greatest number of segments in a run of level 0. Default 256. */
  readonly segmentsPerRun?: number;
  /** Say what would be done, and do nothing */
  readonly dryRun?: boolean;
  readonly nowMs: () => number;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  /** Default one hour */
  readonly sweepAfterMs?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface Compacted {
  /** Chains that were looked at */
  readonly chains: number;
  /** Segments that runs have now; in a dry run, those that would be */
  readonly segments: number;
  readonly rows: number;
  /** Runs made of segments */
  readonly runs: number;
  /** Runs made of other runs */
  readonly merged: number;
  /** Of the segments' objects, and of the files of the runs that they are in; in a dry run `bytesAfter` is not known */
  readonly bytesBefore: number;
  readonly bytesAfter: number | null;
  readonly swept: Swept;
  /** Packs of kept images whose members lie in other objects now, and these */
  readonly packs: { readonly merged: number; readonly into: number; readonly swept: number };
  /** Packs that cannot be read: they stay as they are */
  readonly refusedPacks: readonly SluiceError[];
  readonly refused: readonly (RefusedSegment & { readonly chain: ChainName })[];
  readonly stopped: boolean;
}

const NOTHING_SCORED = { scored: 0, copied: 0, kept: 0, quarantined: 0 } as const;

/**
 * archive -> runs: the segments of each chain become row groups of larger Parquet files, and what runs have had for a while is
 * deleted. Every reader of the archive finds them as before. Killed anywhere, it leaves each segment as it was or in a
 * run; run again, it goes on. Throws E_STORE_CORRUPT, E_STORE_IO and the store's other errors.
 */
export async function compact(options: CompactOptions): Promise<Compacted> {
  const { store, teacher, stream, dryRun = false, nowMs, signal } = options;
  const { dueOnly = false, beforeMs = null, segmentsPerRun = RUN_SEGMENTS, sweepAfterMs = SWEEP_AFTER_MS } = options;
  const refused: (RefusedSegment & { chain: ChainName })[] = [];
  const totals = { segments: 0, rows: 0, runs: 0, merged: 0, bytesBefore: 0, bytesAfter: 0 };
  const swept = { segments: 0, files: 0, sizeBytes: 0 };
  const packs = { merged: 0, into: 0, swept: 0 };
  const refusedPacks: SluiceError[] = [];
  /** Where the first run of the chain begins that was made of segments */
  let firstRun = Number.POSITIVE_INFINITY;
  const progress = (): void =>
    options.onProgress?.({ ...NOTHING_SCORED, phase: "compact", done: totals.segments, total: null });
  const onRun = ({ head, bytesBefore }: CompactedRun): void => {
    if (head.level > 0) {
      totals.merged++;
      return;
    }
    firstRun = Math.min(firstRun, head.start);
    totals.runs++;
    totals.segments += head.segments;
    totals.rows += head.counts.scored + head.counts.copied;
    totals.bytesBefore += bytesBefore;
    for (const { sizeBytes } of head.files) totals.bytesAfter += sizeBytes;
    progress();
  };
  const archive = new ArchiveReader(store, { teacher, stream });
  const chains = await archive.chains();
  progress();
  let stopped = false;
  try {
    for (const chain of chains) {
      if (dryRun) {
        await countTail(archive, chain, beforeMs, totals);
        continue;
      }
      throwIfStopped(signal, STOPPED);
      firstRun = Number.POSITIVE_INFINITY;
      const left = await compactChain({ ...options, chain, dueOnly, beforeMs, segmentsPerRun, onRun });
      if (left !== null) refused.push({ ...left, chain });
      // Of all archives: others may name this one's packs.
      const pinnedMs = await oldestPin(store, "all", nowMs());
      const untilMs = Math.min(nowMs() - sweepAfterMs, pinnedMs ?? Number.POSITIVE_INFINITY);
      const gone = await sweepChain(store, chain, untilMs);
      for (const name of ["segments", "files", "sizeBytes"] as const) swept[name] += gone[name];
      if (dueOnly && firstRun === Number.POSITIVE_INFINITY) continue;
      const reader = archive.chain(chain);
      await reader.runs.refresh();
      // With the run before: who made that may have been stopped here.
      const from = dueOnly ? (reader.runs.startsOf(0).findLast((start) => start < firstRun) ?? firstRun) : chain.origin;
      const onRefused = (error: SluiceError): number => refusedPacks.push(error);
      const merged = await mergePacks({ ...options, reader, from, onRefused });
      packs.merged += merged.packs;
      packs.into += merged.into;
      packs.swept += (await sweepPacks(store, chain, untilMs, dueOnly ? SWEPT_BESIDE : undefined)).packs;
    }
  } catch (error) {
    if (!isSluiceError(error, "E_CANCELLED")) throw error;
    stopped = true;
  }
  if (dryRun) totals.runs = Math.ceil(totals.segments / segmentsPerRun);
  const bytesAfter = dryRun ? null : totals.bytesAfter;
  return { chains: chains.length, ...totals, bytesAfter, swept, packs, refusedPacks, refused, stopped };
}

/** What a dry run says of one chain. */
async function countTail(
  archive: ArchiveReader,
  chain: ChainName,
  beforeMs: number | null,
  totals: { segments: number; rows: number; bytesBefore: number },
): Promise<void> {
  const reader = archive.chain(chain);
  const from = Math.max(chain.origin, await reader.runs.end());
  const sizes = await reader.tailSizes();
  for await (const { start, counts, watermarkMs } of reader.headers(from, undefined, () => undefined)) {
    if (beforeMs !== null && watermarkMs !== null && watermarkMs >= beforeMs) return;
    totals.segments++;
    totals.rows += counts.scored + counts.copied;
    totals.bytesBefore += sizes.get(start) ?? 0;
  }
}

/** Digests of the teachers that have scored into this store, those that start with `prefix`. Throws E_TEACHER_CARD where there is none. */
export async function archivedTeachers(store: Store, prefix: string): Promise<string[]> {
  const all = [...(await readCards(store)).keys()].sort();
  const found = all.filter((digest) => digest.startsWith(prefix));
  if (found.length > 0) return found;
  const known = all.map((digest) => digest.slice(0, 12)).join(", ");
  throw new SluiceError(
    "E_TEACHER_CARD",
    `Expected a teacher${prefix === "" ? "" : ` whose digest starts with "${prefix}"`} among those that have scored into ${store.place}, ` +
      `found ${known === "" ? "no teacher at all; run `sluice ingest`" : `only ${known}`}.`,
  );
}
