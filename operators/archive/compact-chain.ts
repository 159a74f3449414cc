import type { Store } from "../../connectors/store/store.js";
import { canonicalJson } from "../../schemas/canonical.js";
import { isSluiceError, orNull, type SluiceError } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import type { QuarantineCounts, RunBlock, RunHead } from "../../schemas/run.js";
import type { Segment } from "../../schemas/segment.js";
import { mergeGroups } from "./merge-groups.js";
import { quarantineOfRuns } from "./chain-counts.js";
import { ChainReader } from "./chain-reader.js";
import { ChainRuns } from "./chain-runs.js";
import { createIndex, writeRun, type WriteRunOptions, type WrittenRun } from "./run-writer.js";
import { throwIfStopped } from "./throw-if-stopped.js";

/** What E_CANCELLED says here */
export const STOPPED = "Compaction was stopped. Every segment is as it was or in a run; run it again to go on.";

/** A run of level 0 takes so many segments, rows (some 86 MB at top 32), or bytes of segments at most. */
export const RUN_SEGMENTS = 256;
const RUN_ROWS = 131_072;
const RUN_BYTES = 96 * 1024 * 1024;

/** A segment at which compaction stops: it cannot be read, or is not there. */
export interface RefusedSegment {
  readonly start: number;
  readonly end: number;
  readonly error: SluiceError;
}

export interface CompactChainOptions {
  readonly store: Store;
  readonly chain: ChainName;
  /** Only what fills a run; otherwise the whole tail, and all runs that can be merged */
  readonly dueOnly: boolean;
  /** Only segments all of whose images, and all before them, have an event time before this; null: all. ms since the epoch. */
  readonly beforeMs: number | null;
  readonly segmentsPerRun: number;
  /** A name for each writing, [a-z0-9]+, never the same twice */
  readonly attempt: () => string;
  readonly nowMs: () => number;
  readonly onRun: (run: CompactedRun) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface CompactedRun {
  readonly head: WrittenRun["head"];
  /** Of the segments' objects, or of the files of the runs that were merged */
  readonly bytesBefore: number;
}

/**
 * segments -> a run of level 0 -> with others one of a higher level. Each is written, read back, and only then made a run; where
 * another compactor was quicker, its run stands. Returns the segment at which the chain's prefix that can be read ends, if one
 * does.
 */
export async function compactChain(options: CompactChainOptions): Promise<RefusedSegment | null> {
  const reader = new ChainReader(options.store, options.chain);
  let refused: RefusedSegment | null = null;
  let made = 0;
  const counting: CompactChainOptions = {
    ...options,
    onRun: (run) => {
      made++;
      options.onRun(run);
    },
  };
  for (let more = true; more && refused === null;) {
    throwIfStopped(options.signal, STOPPED);
    ({ more, refused } = await compactTail(reader, counting));
  }
  for (let level = 0; level < reader.runs.levels; level++) await mergeLevel(reader, level, counting);
  if (made > 0) await reader.runs.writeStanding();
  return refused;
}

interface TailStep {
  readonly more: boolean;
  readonly refused: RefusedSegment | null;
}

async function compactTail(reader: ChainReader, options: CompactChainOptions): Promise<TailStep> {
  const { store, dueOnly, segmentsPerRun } = options;
  await reader.runs.refresh();
  const start = await reader.runs.end();
  const sizes = await reader.tailSizes(segmentsPerRun + 1);
  const tailBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (sizes.size === 0 || (dueOnly && sizes.size <= segmentsPerRun && tailBytes < RUN_BYTES)) return NOTHING;
  const source = new TailSource(reader, start, options);
  const before = (await reader.totalsAt(start)).counts;
  const { tally } = await quarantineOfRuns(reader);
  const own = { level: 0, before, quarantine: tally, attempt: options.attempt() };
  const written = await writeRun(source.segments(), { ...options, ...own });
  const { refused } = source;
  if (written === "nothing") return { more: false, refused };
  if (written === "swept" || !(await standUp(reader, written, store))) return ANOTHERS;
  const taken = [...sizes].filter(([segment]) => segment < written.head.end);
  options.onRun({ head: written.head, bytesBefore: taken.reduce((sum, [, size]) => sum + size, 0) });
  return { more: !source.isAtEnd, refused };
}

const NOTHING: TailStep = { more: false, refused: null };
/** Another compactor was quicker: its run is gone on from. */
const ANOTHERS: TailStep = { more: true, refused: null };

/** The segments that one run takes of a chain's tail. */
class TailSource {
  readonly #reader: ChainReader;
  readonly #start: number;
  readonly #options: CompactChainOptions;
  refused: RefusedSegment | null = null;
  /** Whether there was nothing more to take */
  isAtEnd = false;

  constructor(reader: ChainReader, start: number, options: CompactChainOptions) {
    this.#reader = reader;
    this.#start = start;
    this.#options = options;
  }

  async *segments(): AsyncGenerator<Segment, void, undefined> {
    const { segmentsPerRun, beforeMs, signal } = this.#options;
    let at = this.#start;
    let rows = 0;
    for (let count = 0; count < segmentsPerRun && rows < RUN_ROWS; count++) {
      throwIfStopped(signal, STOPPED);
      const segment = await this.#next(at);
      const watermarkMs = segment?.header.watermarkMs ?? null;
      if (segment === null || (beforeMs !== null && watermarkMs !== null && watermarkMs >= beforeMs)) {
        this.isAtEnd = true;
        return;
      }
      rows += segment.batch.count;
      at = segment.header.end;
      yield segment;
    }
  }

  async #next(at: number): Promise<Segment | null> {
    try {
      const segment = await this.#reader.tailSegment(at);
      if (segment !== null && segment.header.end > at) return segment;
      // A gap is told of; the chain's end is not.
      await this.#reader.end(at);
      return null;
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT") && !isSluiceError(error, "E_CHAIN_GAP")) throw error;
      const { end } = error.context;
      this.refused = { start: at, end: typeof end === "number" ? end : at, error };
      return null;
    }
  }
}

/** Whether what was written became a run; if not, its files are deleted, since another's stands there. */
async function standUp(reader: ChainReader, written: WrittenRun, store: Store): Promise<boolean> {
  const isOurs = (await createIndex(store, written)) === "created";
  if (!isOurs) for (const { key } of written.head.files) await store.delete(key);
  await reader.runs.refresh();
  return isOurs;
}

/** Merges runs of one level into runs of the next. */
async function mergeLevel(reader: ChainReader, level: number, options: CompactChainOptions): Promise<void> {
  const { signal, dueOnly } = options;
  for (;;) {
    throwIfStopped(signal, STOPPED);
    await reader.runs.refresh();
    const from = await reader.runs.endOf(level + 1);
    const heads: RunHead[] = [];
    for (const start of reader.runs.startsOf(level))
      if (start >= from) {
        const head = await orNull(reader.runs.head(start, level), "E_SEGMENT_CORRUPT");
        // Its own reader names it; what lies behind it stays as it is.
        if (head === null) break;
        heads.push(head);
      }
    const group = mergeGroups(heads, dueOnly)[0];
    const [first, last] = [group?.[0], group?.at(-1)];
    if (group === undefined || first === undefined || last === undefined) return;
    const losses = await reader.runs.losses();
    const written =
      group.length === 1 && !losses.meets(first.start, last.end)
        ? await raised(reader, first, options)
        : await writeRun(stoppable(reader.segments(first.start, last.end), signal), {
            ...options,
            level: level + 1,
            before: first.before,
            quarantine: asBefore(last.quarantine),
            attempt: options.attempt(),
          });
    if (typeof written === "string" || !(await standUpMerged(reader, written, group, options))) return;
    const bytesBefore = group.reduce((sum, { files }) => sum + sizeOf(files), 0);
    options.onRun({ head: written.head, bytesBefore });
  }
}

/** A run that is as large as runs get, as one of the next level: its files are the same. */
async function raised(reader: ChainReader, head: RunHead, { nowMs }: CompactChainOptions): Promise<WrittenRun> {
  const blocks: RunBlock[] = [];
  for (let at = head.start; at < head.end;) {
    const index = await reader.runs.indexAt(at);
    blocks.push(index.block);
    at = index.end;
  }
  return { head: { ...head, level: head.level + 1, createdMs: nowMs() }, blocks };
}

/** Of runs that are merged the last one says what is in quarantine. */
function asBefore(counts: QuarantineCounts): WriteRunOptions["quarantine"] {
  return { take: () => undefined, counts: () => Promise.resolve(counts) };
}

async function standUpMerged(
  reader: ChainReader,
  written: WrittenRun,
  group: readonly RunHead[],
  { store, chain }: CompactChainOptions,
): Promise<boolean> {
  if ((await areAsRead(store, chain, group)) && (await createIndex(store, written)) === "created") return true;
  const kept = new Set(group.flatMap(({ files }) => files.map(({ key }) => key)));
  for (const { key } of written.head.files) if (!kept.has(key)) await store.delete(key);
  await reader.runs.readAnew();
  return false;
}

/** Whether runs are still what was read of them: an erasure or a repair writes a run anew, and what it took out is not to come back. */
async function areAsRead(store: Store, chain: ChainName, group: readonly RunHead[]): Promise<boolean> {
  const runs = new ChainRuns(store, chain);
  for (const head of group)
    if (canonicalJson(await runs.head(head.start, head.level)) !== canonicalJson(head)) return false;
  return true;
}

async function* stoppable(
  segments: AsyncIterable<Segment>,
  signal?: AbortSignal,
): AsyncGenerator<Segment, void, undefined> {
  for await (const segment of segments) {
    throwIfStopped(signal, STOPPED);
    yield segment;
  }
}

export function sizeOf(files: RunHead["files"]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
