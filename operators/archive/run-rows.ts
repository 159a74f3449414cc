import { crc32 } from "node:zlib";
import type { Store } from "../../connectors/store/store.js";
import { readRecord, recordBytes, rowChecksum, type ArchivedScores, type RowRecord } from "./row-records.js";
import type { RowScores } from "./segment-builder.js";
import type { PlacedGroup } from "./run-index.js";
import { rowGroupBatch } from "../../schemas/run-columns.js";
import { repairsOf } from "../../schemas/damage-repairs.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { assertKeys } from "../../schemas/segment.js";

type Ranges = Pick<Store, "getRange">;

/** Gives memory of the caller's to read into. */
export type Room = (sizeBytes: number) => Uint8Array;

/** What a group's offsets are said to be, for messages and to be looked at. */
export interface GroupRange {
  readonly stream: string;
  readonly partition: number;
  /** Offsets [start, end) */
  readonly start: number;
  readonly end: number;
}

/** All rows of a row group. Throws E_STORE_MISSING, or E_SEGMENT_CORRUPT where the bytes are not those that were written. */
export async function readGroup(
  store: Store,
  { group, key }: PlacedGroup,
  range: GroupRange,
  room?: Room,
): Promise<ScoredBatch> {
  const { start, end } = group;
  const bytes = await ((room && store.getInto?.(key, room, { start, end })) ?? store.getRange(key, start, end));
  try {
    if (bytes.length !== end - start) throw new TypeError(`${bytes.length} of ${end - start} bytes are there`);
    if (crc32(bytes) !== group.crc32) throw new TypeError("their checksum is not that of the bytes written");
    const batch = rowGroupBatch(bytes, group);
    const [first, last] = [Number(batch.offset[0]), Number(batch.offset[batch.count - 1])];
    if (first < range.start || last >= range.end || batch.partition[0] !== range.partition) {
      throw new TypeError(`they are rows of offsets ${first} to ${last} of partition ${batch.partition[0]}`);
    }
    assertKeys(batch);
    return batch;
  } catch (error) {
    throw corruptGroup({ group, key }, range, error);
  }
}

/** Reads the records of a row group. Throws as `readGroup`. */
export async function assertWhole(store: Store, placed: PlacedGroup, range: GroupRange): Promise<void> {
  const { start, end, crc32: written } = placed.group.records;
  if (crc32(await store.getRange(placed.key, start, end)) === written) return;
  throw corruptGroup(placed, range, new TypeError(`the rows' records at [${start}, ${end}) have another checksum`));
}

export function corruptGroup({ group, key }: PlacedGroup, range: GroupRange, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected the rows of offsets [${range.start}, ${range.end}) of ${range.stream}/${range.partition} in bytes ` +
      `[${group.start}, ${group.end}) of ${key}, found others: ${messageOf(cause)}. ` +
      repairsOf(key),
    { cause, key, start: range.start, end: range.end },
  );
}

/** Records that are read for one row at most: it is among as many as its segment has offsets without rows, and itself. */
const MOST_RECORDS = 64;
const OFFSET_BYTES = 8;

/** Where a row is looked for in a row group. */
export type WantedRow =
  /** Of this number, if it is the digest's */
  | { readonly row: number; readonly digest: Uint8Array }
  /** The one of an offset: of a segment's rows, which begin at `first`, the one that is `from` the segment's start */
  | {
      readonly offset: number;
      readonly first: number;
      readonly rows: number;
      readonly from: number;
      readonly span: number;
      /** It is read where the caller does not know it */
      readonly digest?: Uint8Array | undefined;
    };

type WantedOffset = Extract<WantedRow, { readonly offset: number }>;

/**
 * One row's scores, by one range of its own where the block that has it is not held. All logits and the embedding are read from `store`. null where the group has no row there, or it is not the digest's. Throws as
 * `readGroup`.
 */
export async function readRow(
  store: Ranges,
  blocks: Ranges,
  placed: PlacedGroup,
  wanted: WantedRow,
  range: GroupRange,
): Promise<ArchivedScores | null> {
  const { group, key } = placed;
  const size = recordBytes(group);
  const [low, high] = "row" in wanted ? [wanted.row, wanted.row] : await rowsFor(blocks, placed, wanted);
  if (low > high) return null;
  const bytes = await blocks.getRange(key, group.records.start + low * size, group.records.start + (high + 1) * size);
  try {
    if (bytes.length !== (high + 1 - low) * size)
      throw new TypeError(`records of rows ${low} to ${high} are not there`);
    for (let row = high; row >= low; row--) {
      const record = readRecord(bytes.subarray((row - low) * size, (row - low + 1) * size), group);
      if (!("row" in wanted) && Number(record.offset) !== wanted.offset) continue;
      return await rowOfRecord(store, placed, row, record, wanted.digest ?? null);
    }
    // A record's checksum does not tell of its offset.
    if (!("row" in wanted) && (await listedRow(blocks, placed, wanted)) >= 0)
      throw new TypeError(`the record of offset ${wanted.offset} is not the one that was written`);
    return null;
  } catch (error) {
    throw error instanceof SluiceError ? error : corruptGroup(placed, range, error);
  }
}

/** The first and the last row that an offset's may be. */
async function rowsFor(blocks: Ranges, placed: PlacedGroup, wanted: WantedOffset): Promise<readonly [number, number]> {
  const { first, rows, from, span } = wanted;
  const without = span - rows;
  if (without < MOST_RECORDS) return [first + Math.max(0, from - without), first + Math.min(rows - 1, from)];
  const row = await listedRow(blocks, placed, wanted);
  return row < 0 ? [0, -1] : [row, row];
}

/** The row that the column of offsets has an offset at; -1 where it has none. */
async function listedRow(
  blocks: Ranges,
  { group, key }: PlacedGroup,
  { offset, first, rows }: WantedOffset,
): Promise<number> {
  const at = group.start + group.columns["offset"]! + first * OFFSET_BYTES;
  const bytes = Uint8Array.from(await blocks.getRange(key, at, at + rows * OFFSET_BYTES));
  const row = rowAt({ count: rows, offset: new BigInt64Array(bytes.buffer) }, offset);
  return row < 0 ? -1 : first + row;
}

/** null where the row is another image's than `digest`; without that it is read, too. */
async function rowOfRecord(
  store: Ranges,
  placed: PlacedGroup,
  row: number,
  record: RowRecord,
  digest: Uint8Array | null,
): Promise<ArchivedScores | null> {
  const { classCount, embeddingSize } = placed.group;
  const column = (name: string, width: number): Promise<Uint8Array<ArrayBuffer>> => {
    const from = placed.group.start + placed.group.columns[name]! + row * width;
    return store.getRange(placed.key, from, from + width).then((bytes) => Uint8Array.from(bytes));
  };
  const [own, allLogits, embedding, notes] = await Promise.all([
    digest ?? column("digest", DIGEST_BYTES),
    classCount === null ? null : column("all_logits", 4 * classCount),
    embeddingSize === null ? null : column("embedding", 4 * embeddingSize),
    record.notesAt === null ? null : notesIn(store, placed, record.notesAt),
  ]);
  const scores: RowScores = {
    ...record.scores,
    allLogits: allLogits && new Float32Array(allLogits.buffer),
    embedding: embedding && new Float32Array(embedding.buffer),
    notes,
  };
  if (rowChecksum(own, scores) === record.crc) return { digest: own, scores };
  // Of a digest that begins alike, or damaged.
  const written = digest === null ? own : await column("digest", DIGEST_BYTES);
  if (rowChecksum(written, scores) === record.crc) return null;
  throw new TypeError(`row ${row} is not the one that was written`);
}

/** Notes are a few codes; longer ones are read in two turns. */
const NOTES_READ_BYTES = 64;

async function notesIn(store: Ranges, { group, key }: PlacedGroup, at: number): Promise<string> {
  const from = group.start + at;
  const bytes = Buffer.from(await store.getRange(key, from, from + NOTES_READ_BYTES));
  const length = bytes.readUInt32LE(0);
  if (from + 4 + length > group.end) throw new TypeError(`notes at byte ${from} are said to have ${length} bytes`);
  if (4 + length <= bytes.length) return bytes.toString("utf8", 4, 4 + length);
  return Buffer.from(await store.getRange(key, from + 4, from + 4 + length)).toString("utf8");
}

/** Row of an offset in a batch of one partition, whose offsets ascend; -1 where it has none. */
export function rowAt({ offset: offsets, count }: Pick<ScoredBatch, "offset" | "count">, wanted: number): number {
  // As pairs of words, low first: no BigInt is made.
  const words = new Uint32Array(offsets.buffer, offsets.byteOffset, 2 * count);
  if (count === 0) return -1;
  // Most logs count without gaps.
  const near = wanted - (words[1]! * 2 ** 32 + words[0]!);
  if (near >= 0 && near < count && words[2 * near + 1]! * 2 ** 32 + words[2 * near]! === wanted) return near;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[2 * middle + 1]! * 2 ** 32 + words[2 * middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < count && words[2 * low + 1]! * 2 ** 32 + words[2 * low]! === wanted ? low : -1;
}
