import type { Store } from "../connectors/store/store.js";
import { putStub, STOPPED, writeRun, type RefusedSegment } from "../operators/stages/compact-run.js";
import { CompactedChain, type ChainSegment } from "../operators/stages/compacted-chain.js";
import { throwIfStopped } from "../operators/stages/throw-if-stopped.js";
import { readCards } from "../operators/stages/teacher-registry.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import { keys, segmentPlace, type ChainName } from "../schemas/keys.js";
import type { OnProgress } from "../schemas/progress.js";

/** Some 80 MB of scores of 2048 images a segment, top 32 */
export const SEGMENTS_A_FILE = 64;
/** How old a compacted file must be before a copy of it is swept: whoever reads it just now has long finished then. */
const SWEEP_AFTER_MS = 24 * 60 * 60 * 1000;

export interface CompactOptions {
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  /** Only segments all of whose images, and all before them, have an event time before this; null: all. ms since the epoch. */
  readonly beforeMs?: number | null;
  /** Greatest number of segments in a file. Default 64. */
  readonly segmentsPerFile?: number;
  /** Say what would be done, and do nothing */
  readonly dryRun?: boolean;
  readonly nowMs: number;
  /** A name for each file written, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  /** Default one day */
  readonly sweepAfterMs?: number;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface Compacted {
  /** Chains that were looked at */
  readonly chains: number;
  /** Segments replaced by stubs; in a dry run, those that would be */
  readonly segments: number;
  /** Of these, segments whose rows a run before this one had written already */
  readonly adopted: number;
  readonly rows: number;
  /** Files written */
  readonly files: number;
  /** Of the segments' objects before, and of the stubs and files in their place; in a dry run `bytesAfter` is not known */
  readonly bytesBefore: number;
  readonly bytesAfter: number | null;
  /** Copies deleted that nobody needs */
  readonly swept: { readonly files: number; readonly sizeBytes: number };
  readonly refused: readonly (RefusedSegment & { readonly chain: ChainName })[];
  readonly stopped: boolean;
}

/**
 * archive -> compacted files, stubs left in place: segments become row groups of larger Parquet files, and every reader
 * of the archive finds them as before. Killed anywhere, it leaves each segment as it was or compacted; run again, it
 * finishes. Throws E_STORE_CORRUPT, E_STORE_IO and the store's other errors.
 */
export async function compact(options: CompactOptions): Promise<Compacted> {
  const { store, teacher, stream, segmentsPerFile = SEGMENTS_A_FILE, dryRun = false, nowMs, signal } = options;
  const { attempt, onWarning = () => undefined, sweepAfterMs = SWEEP_AFTER_MS } = options;
  const refused: (RefusedSegment & { chain: ChainName })[] = [];
  const chains: { chain: ChainName; compacted: CompactedChain }[] = [];
  for (const chain of await allChains(store, { teacher, stream })) {
    const onRefused = (one: RefusedSegment): number => refused.push({ ...one, chain });
    chains.push({ chain, compacted: await CompactedChain.open(store, chain, onRefused) });
  }
  const totals = { segments: 0, adopted: 0, rows: 0, files: 0, bytesBefore: 0, bytesAfter: 0 };
  const swept = { files: 0, sizeBytes: 0 };
  const hotIn = (compacted: CompactedChain): ChainSegment[] =>
    compacted.segments.filter((segment) => isDue(segment, options.beforeMs ?? null));
  const total = chains.reduce((sum, { compacted }) => sum + hotIn(compacted).length, 0);
  const progress = (): void =>
    options.onProgress?.({ ...NOTHING_SCORED, phase: "compact", done: totals.segments, total });
  const replaced = ({ header, sizeBytes }: ChainSegment, after: number): void => {
    totals.segments++;
    totals.rows += rowsOf({ header });
    totals.bytesBefore += sizeBytes;
    totals.bytesAfter += after;
    progress();
  };
  progress();
  let stopped = false;
  try {
    for (const { chain, compacted } of chains) {
      if (dryRun) {
        for (const segment of hotIn(compacted)) replaced(segment, 0);
        totals.files += Math.ceil(hotIn(compacted).length / segmentsPerFile);
        continue;
      }
      throwIfStopped(signal, STOPPED);
      await compacted.adopt({ onWarning, signal }, (segment, sizeBytes) => {
        totals.adopted++;
        replaced(segment, sizeBytes);
      });
      for (let hot = hotIn(compacted); hot.length > 0;) {
        const run = hot.slice(0, segmentsPerFile);
        const written = await writeRun(
          run.map(({ header: { start, end } }) => ({ start, end })),
          {
            store,
            chain,
            createdMs: nowMs,
            attempt: attempt(),
            onRefused: (one) => refused.push({ ...one, chain }),
            signal,
          },
        );
        hot = hot.slice(written.taken);
        if (written.file === null) continue;
        totals.files++;
        totals.bytesAfter += written.file.sizeBytes;
        for (const placed of written.file.placed) {
          throwIfStopped(signal, STOPPED);
          const stubBytes = await putStub(store, chain, written.file.key, placed);
          const segment = run.find(({ header }) => header.start === placed.header.start);
          if (stubBytes !== null && segment !== undefined) replaced(segment, stubBytes);
        }
      }
      const { files, sizeBytes } = await compacted.sweep({ onWarning, sweepBeforeMs: nowMs - sweepAfterMs, signal });
      swept.files += files;
      swept.sizeBytes += sizeBytes;
    }
  } catch (error) {
    if (!isSluiceError(error, "E_CANCELLED")) throw error;
    stopped = true;
  }
  const bytesAfter = dryRun ? null : totals.bytesAfter;
  return { chains: chains.length, ...totals, bytesAfter, swept, refused, stopped };
}

const NOTHING_SCORED = { scored: 0, copied: 0, kept: 0, quarantined: 0 } as const;

function rowsOf({ header: { counts } }: Pick<ChainSegment, "header">): number {
  return counts.scored + counts.copied;
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

/** Segments without rows (lost ranges, nothing but refusals) stay as they are. */
function isDue(segment: ChainSegment, beforeMs: number | null): boolean {
  const { watermarkMs } = segment.header;
  const isOld = beforeMs === null || (watermarkMs !== null && watermarkMs < beforeMs);
  return segment.stub === null && rowsOf(segment) > 0 && isOld;
}

/** The live chains and the replays' of (teacher, stream). */
async function allChains(store: Store, place: { teacher: string; stream: string }): Promise<ChainName[]> {
  const chains = new Map<string, ChainName>();
  for await (const { key } of store.list(keys.chains(place))) {
    const chain = segmentPlace(key)?.chain;
    if (chain !== undefined) chains.set(keys.chain(chain), chain);
  }
  return [...chains.values()];
}
