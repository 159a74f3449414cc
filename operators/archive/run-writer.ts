import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import {
  decodeRunHead,
  encodeRun,
  RUN_HEAD_BYTES,
  RUN_VERSION,
  type DigestsPlace,
  type RunBlock,
  type RunHead,
} from "../../schemas/run.js";
import { copyRows, joinRows, rowGroupBatch } from "../../schemas/run-columns.js";
import type { ScoredBatch, TextColumn } from "../../schemas/scored-batch.js";
import type { RecordCounts, Segment } from "../../schemas/segment.js";
import { sameFiles } from "./chain-runs.js";
import type { QuarantineTally } from "./quarantine-tally.js";
import { RunBlocksBuilder, RunIndex } from "./run-index.js";
import { rangeOf } from "./group-reader.js";
import { assertDigests } from "./run-digests.js";
import { FILE_START, RunFile } from "./run-file.js";
import { assertWhole, readGroup } from "./run-rows.js";

/** A row group is written when it has so many rows or bytes: a reader holds two. */
const GROUP_ROWS = 8192;
const GROUP_BYTES = 8 * 1024 * 1024;

export interface WriteRunOptions {
  readonly store: Store;
  readonly chain: ChainName;
  readonly level: number;
  /** Records of the chain below the first segment */
  readonly before: RecordCounts;
  /** Counts what is in quarantine, from what was below the first segment on */
  readonly quarantine: Pick<QuarantineTally, "take" | "counts">;
  /** Of this writing alone: [a-z0-9]+ */
  readonly attempt: string;
  readonly nowMs: () => number;
}

export interface WrittenRun {
  readonly head: Omit<RunHead, "blocks">;
  readonly blocks: readonly RunBlock[];
}

/**
 * Writes segments that follow on each other as Parquet files, a new one where the archive's columns change, and reads them
 * back: each row group must be as it was written. No index names them yet. `nothing` where there are no segments, `swept` where a
 * file was swept meanwhile, since another's run stands in its place. Throws E_STORE_CORRUPT.
 */
export async function writeRun(
  segments: AsyncIterable<Segment>,
  options: WriteRunOptions,
): Promise<WrittenRun | "nothing" | "swept"> {
  const { store, chain, level, before, quarantine, attempt, nowMs } = options;
  const iterator = segments[Symbol.asyncIterator]();
  const take = async (): Promise<Segment | null> => {
    const next = await iterator.next();
    return next.done === true ? null : next.value;
  };
  const files: RunHead["files"] = [];
  let next = await take();
  const first = next?.header;
  if (first === undefined) return "nothing";
  const builder = new RunBlocksBuilder(first.start, before);
  let end = first.start;
  const add = async (): Promise<void> => {
    if (builder.isFull) builder.endBlock();
    builder.add(next!.header);
    quarantine.take(next!.header);
    end = next!.header.end;
    next = await take();
  };
  while (next !== null) {
    if (next.batch.count === 0) {
      await add();
      continue;
    }
    const file = new RunFile(next.batch);
    const key = keys.runFile(chain, { start: first.start, level, attempt, file: files.length });
    const fitting = (): Segment | null =>
      next !== null && (next.batch.count === 0 || file.fits(next.batch)) ? next : null;
    let digests = (): DigestsPlace => {
      throw new SluiceError("E_INTERNAL", `The rows of ${key} were not written to their end.`);
    };
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      yield FILE_START;
      for (let segment = fitting(); segment !== null;) {
        if (builder.isFull) builder.endBlock();
        const group = new PendingGroup(builder.next, segment.header.start);
        do {
          group.add(segment.batch);
          await add();
          segment = fitting();
        } while (segment !== null && !group.isFull && !builder.isFull);
        if (group.rows === 0) continue;
        const batch = group.batch();
        const { bytes, place } = file.add(batch, group.start);
        const difference = differenceOf(batch, rowGroupBatch(bytes, place));
        if (difference !== null)
          throw new SluiceError("E_INTERNAL", `Column ${difference} of a row group does not read as it was written.`);
        builder.addGroup({
          ...place,
          file: files.length,
          first: group.first,
          segments: builder.next - group.first,
        });
        yield bytes;
      }
      const last = file.end({ ...chain, start: first.start, level });
      digests = () => last.digests;
      yield last.bytes;
    };
    const { sizeBytes } = await store.putStream(key, chunks());
    files.push({ key, sizeBytes, digests: digests() });
  }
  builder.endBlock();
  const head: WrittenRun["head"] = {
    schemaVersion: RUN_VERSION,
    ...chain,
    start: first.start,
    end,
    level,
    createdMs: nowMs(),
    segments: builder.segments,
    before,
    counts: builder.counts,
    watermarkMs: builder.watermarkMs,
    files,
    quarantine: await quarantine.counts(),
  };
  const run = { head, blocks: builder.blocks };
  return (await isWhole(store, run)) ? run : "swept";
}

export interface WriteAnewOptions extends Pick<WriteRunOptions, "store" | "chain" | "attempt" | "nowMs"> {
  /** The command to be run again where another process works on the run */
  readonly again: string;
  /** Called before the index of what was written is put in the place of the run's own */
  readonly beforeIndex?: (written: WrittenRun) => Promise<void>;
}

/** Writes a run's segments once more, and puts an index of their files in the place of its own. What it had is garbage. Throws E_CHAIN_CONFLICT, E_STORE_CORRUPT. */
export async function writeRunAnew(
  segments: AsyncIterable<Segment>,
  head: RunHead,
  { store, chain, attempt, nowMs, again, beforeIndex }: WriteAnewOptions,
): Promise<WrittenRun> {
  const { start, end, level, before, createdMs } = head;
  const quarantine = { take: () => undefined, counts: () => Promise.resolve(head.quarantine) };
  const written = await writeRun(segments, { store, chain, level, before, quarantine, attempt, nowMs });
  if (typeof written !== "string" && written.head.end === end) {
    await beforeIndex?.(written);
    const key = keys.runIndex(chain, start, level);
    const standing = await store.get(key);
    await store.put(key, encodeRun({ ...written.head, createdMs }, written.blocks));
    if (await areThere(store, written)) return written;
    // Another process has swept them before an index named them.
    const { head: now } = decodeRunHead(await store.getRange(key, 0, RUN_HEAD_BYTES), chain, start, level);
    if (sameFiles(now, { ...written.head, blocks: [] })) await store.put(key, standing);
  }
  throw new SluiceError(
    "E_CHAIN_CONFLICT",
    `Expected to write the run of ${chain.stream}/${chain.partition} over [${start}, ${end}) anew, found that another process works on it. Run \`${again}\` again.`,
    { start, end, retryable: true },
  );
}

async function areThere(store: Store, { head }: WrittenRun): Promise<boolean> {
  for (const { key } of head.files) if ((await store.head(key)) === null) return false;
  return true;
}

/** Segments' rows until they are a row group. */
class PendingGroup {
  /** Of its segments, in their block */
  readonly first: number;
  /** Offset of the first one */
  readonly start: number;
  readonly #batches: ScoredBatch[] = [];
  rows = 0;
  #sizeBytes = 0;

  constructor(first: number, start: number) {
    this.first = first;
    this.start = start;
  }

  get isFull(): boolean {
    return this.rows >= GROUP_ROWS || this.#sizeBytes >= GROUP_BYTES;
  }

  /** Copies them: a segment is valid until the next one is asked for. */
  add(batch: ScoredBatch): void {
    if (batch.count === 0) return;
    this.#batches.push(copyRows(batch));
    this.rows += batch.count;
    for (const column of Object.values(batch)) if (ArrayBuffer.isView(column)) this.#sizeBytes += column.byteLength;
  }

  batch(): ScoredBatch {
    return joinRows(this.#batches);
  }
}

/** Whether all is there, as it was written. Throws E_STORE_CORRUPT where something is not as it was written. */
async function isWhole(store: Store, { head, blocks }: WrittenRun): Promise<boolean> {
  try {
    for (const block of blocks) {
      const index = new RunIndex({ ...head, blocks: [] }, block);
      for (let group = 0; group < index.rowGroups.length; group++) {
        await readGroup(store, index.group(group), rangeOf(index, group));
        await assertWhole(store, index.group(group), rangeOf(index, group));
      }
    }
    for (const file of head.files) await assertDigests(store, file);
  } catch (error) {
    if (isSluiceError(error, "E_STORE_MISSING")) return false;
    if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
    const { key } = error.context;
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected ${String(key)} as it was just written, found other bytes. Nothing names it and every segment is as it was. ` +
        "Check the disk or the object store, then run `sluice compact` again.",
      { cause: error, key },
    );
  }
  return true;
}

/**
 * Makes a run of what was written: `created`, or `exists` where another one stands at its start and level. Where an answer was
 * lost, what stands there names the same files.
 */
export async function createIndex(store: Store, { head, blocks }: WrittenRun): Promise<"created" | "exists"> {
  const { start, level, files } = head;
  const key = keys.runIndex(head, start, level);
  if ((await store.putIfAbsent(key, encodeRun(head, blocks))) === "created") return "created";
  const { head: standing } = decodeRunHead(await store.getRange(key, 0, RUN_HEAD_BYTES), head, start, level);
  return files.length > 0 && standing.files[0]?.key === files[0]?.key ? "created" : "exists";
}

/** The first column in which two batches differ by a bit; null where there is none. */
export function differenceOf(a: ScoredBatch, b: ScoredBatch): string | null {
  if (a.count !== b.count || a.topM !== b.topM) return "shape";
  for (const name of Object.keys(a) as (keyof ScoredBatch)[]) {
    const [left, right] = [a[name], b[name]];
    if (left === null || right === null || typeof left === "number") {
      if (left !== right) return name;
    } else if (ArrayBuffer.isView(left)) {
      if (!ArrayBuffer.isView(right) || !bytesOf(left).equals(bytesOf(right))) return name;
    } else {
      const [texts, others] = [left, right as TextColumn];
      for (let row = 0; row < a.count; row++) if (texts.get(row) !== others.get(row)) return name;
    }
  }
  return null;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
