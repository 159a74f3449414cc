import { crc32 } from "node:zlib";
import type { Store } from "../../connectors/store/store.js";
import { rowScores, type RowScores } from "./segment-builder.js";
import type { PlacedGroup } from "./run-index.js";
import { rowGroupBatch } from "../../schemas/run-columns.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES, PDQ_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { assertKeys } from "../../schemas/segment.js";

/** Gives memory of the caller's to read into. */
export type Room = (sizeBytes: number) => Uint8Array;

/** A row's entry in its group's directory: CRC-32 of its scores and digest, and where its notes lie in the group; u32 each. */
export const DIRECTORY_BYTES = 8;
/** In place of where notes lie */
export const NO_NOTES = 0xffff_ffff;

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

export function corruptGroup({ group, key }: PlacedGroup, range: GroupRange, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected the rows of offsets [${range.start}, ${range.end}) of ${range.stream}/${range.partition} in bytes ` +
      `[${group.start}, ${group.end}) of ${key}, found others: ${messageOf(cause)}. Restore the object from a copy; ` +
      "`sluice rebuild --allow-gaps` leaves the range out and marks the version incomplete.",
    { cause, key, start: range.start, end: range.end },
  );
}

/** What is read again of one row: which image it is, and its scores. */
export interface ArchivedScores {
  /** 32 bytes */
  readonly digest: Uint8Array;
  readonly scores: RowScores;
}

export function rowOf(batch: ScoredBatch, row: number): ArchivedScores {
  const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  return { digest, scores: rowScores(batch, row) };
}

/** One row's scores, by ranges of its own. Throws as `readGroup`. */
export async function readRow(
  store: Store,
  placed: PlacedGroup,
  row: number,
  range: GroupRange,
): Promise<ArchivedScores> {
  const { group, key } = placed;
  const { topM, classCount, embeddingSize } = group;
  const at = (name: string, width: number): Promise<Buffer> => {
    const from = group.start + (name === DIRECTORY ? group.directory : group.columns[name]!) + row * width;
    return store.getRange(key, from, from + width).then((bytes) => Buffer.from(Uint8Array.from(bytes).buffer));
  };
  const [directory, digest, width, height, hash, quality, classes, keys, logits, logSumExp, allLogits, embedding] =
    await Promise.all([
      at(DIRECTORY, DIRECTORY_BYTES),
      at("digest", DIGEST_BYTES),
      at("width", 4),
      at("height", 4),
      at("pdq", PDQ_BYTES),
      at("pdq_quality", 4),
      at("classes", 4 * topM),
      at("keys", 8 * topM),
      at("logits", 4 * topM),
      at("log_sum_exp", 8),
      classCount === null ? null : at("all_logits", 4 * classCount),
      embeddingSize === null ? null : at("embedding", 4 * embeddingSize),
    ]);
  try {
    const [written, notesAt] = [directory.readUInt32LE(0), directory.readUInt32LE(4)];
    const scores: RowScores = {
      classes: new Int32Array(classes.buffer),
      keys: new Float64Array(keys.buffer),
      logits: new Float32Array(logits.buffer),
      logSumExp: logSumExp.readDoubleLE(0),
      allLogits: allLogits === null ? null : new Float32Array(allLogits.buffer),
      embedding: embedding === null ? null : new Float32Array(embedding.buffer),
      pdq: { hash, quality: quality.readUInt32LE(0) },
      notes: notesAt === NO_NOTES ? null : await notesIn(store, placed, notesAt),
      width: width.readUInt32LE(0),
      height: height.readUInt32LE(0),
    };
    if (rowChecksum(digest, scores) !== written) throw new TypeError(`row ${row} is not the one that was written`);
    return { digest, scores };
  } catch (error) {
    throw error instanceof SluiceError ? error : corruptGroup(placed, range, error);
  }
}

const DIRECTORY = "";
/** Notes are a few codes; longer ones are read in two turns. */
const NOTES_READ_BYTES = 64;

async function notesIn(store: Store, { group, key }: PlacedGroup, at: number): Promise<string> {
  const from = group.start + at;
  const bytes = Buffer.from(await store.getRange(key, from, from + NOTES_READ_BYTES));
  const length = bytes.readUInt32LE(0);
  if (from + 4 + length > group.end) throw new TypeError(`notes at byte ${from} are said to have ${length} bytes`);
  if (4 + length <= bytes.length) return bytes.toString("utf8", 4, 4 + length);
  return Buffer.from(await store.getRange(key, from + 4, from + 4 + length)).toString("utf8");
}

/** Over all that a copy of the row takes over. */
export function rowChecksum(digest: Uint8Array, scores: RowScores): number {
  const fixed = Buffer.alloc(17);
  fixed.writeUInt32LE(scores.width, 0);
  fixed.writeUInt32LE(scores.height, 4);
  fixed.writeDoubleLE(scores.logSumExp, 8);
  fixed.writeUInt8(scores.pdq.quality, 16);
  let crc = crc32(scores.pdq.hash, crc32(fixed, crc32(digest)));
  for (const values of [scores.classes, scores.keys, scores.logits, scores.allLogits, scores.embedding]) {
    if (values !== null) crc = crc32(values, crc);
  }
  return scores.notes === null ? crc : crc32(scores.notes, crc);
}

/** The directory of a row group whose notes' values begin at `notesAt`. */
export function rowDirectory(batch: ScoredBatch, notesAt: number): Uint8Array {
  const bytes = Buffer.alloc(batch.count * DIRECTORY_BYTES);
  let next = notesAt;
  for (let row = 0; row < batch.count; row++) {
    const { digest, scores } = rowOf(batch, row);
    bytes.writeUInt32LE(rowChecksum(digest, scores), row * DIRECTORY_BYTES);
    bytes.writeUInt32LE(scores.notes === null ? NO_NOTES : next, row * DIRECTORY_BYTES + 4);
    if (scores.notes !== null) next += 4 + Buffer.byteLength(scores.notes);
  }
  return bytes;
}

/** Row of an offset in a batch of one partition, whose offsets ascend; -1 where it has none. */
export function rowAt({ offset: offsets, count }: Pick<ScoredBatch, "offset" | "count">, wanted: number): number {
  // As pairs of words, low first: no BigInt is made.
  const words = new Uint32Array(offsets.buffer, offsets.byteOffset, 2 * count);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[2 * middle + 1]! * 2 ** 32 + words[2 * middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < count && words[2 * low + 1]! * 2 ** 32 + words[2 * low]! === wanted ? low : -1;
}
