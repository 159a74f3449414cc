import { crc32 } from "node:zlib";
import { PDQ_BYTES } from "../../schemas/pdq-hash.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { RowGroupPlace } from "../../schemas/run.js";
import { rowScores, type RowScores } from "./segment-builder.js";

/**
 * A row group's rows once more, each in one piece of the same size, behind the group and out of its readers' way: an image that comes again is
 * read by one range. All logits and the embedding, which are long, are left to their columns.
 */
export type RecordsPlace = RowGroupPlace["records"];

/** What is read again of one row: which image it is, and its scores. */
export interface ArchivedScores {
  /** 32 bytes */
  readonly digest: Uint8Array;
  readonly scores: RowScores;
}

/** A row that a run's index of digests leads to. */
export interface FoundRow extends ArchivedScores {
  /** Whole name of its segment's own pack, which has the image unless an earlier one has; null where it wrote none */
  readonly pack: string | null;
}

/** In place of where notes lie */
const NO_NOTES = 0xffff_ffff;

/**
 * Little-endian: CRC-32 of the row (u32), where its notes lie in the group (u32), log-sum-exp (f64), width and height (u32), PDQ, offset (i64),
 * PDQ's quality (u8) and 7 bytes of nothing; then keys (f64), logits (f32), classes (u16 or i32).
 */
const AT = {
  crc: 0,
  notes: 4,
  logSumExp: 8,
  width: 16,
  height: 20,
  pdq: 24,
  offset: 56,
  quality: 64,
  keys: 72,
} as const;

export function recordBytes({ topM, records }: Pick<RowGroupPlace, "topM" | "records">): number {
  return Math.ceil((AT.keys + 8 * records.keys + (4 + records.classBytes) * topM) / 8) * 8;
}

/** The records of a batch whose notes' values begin at `notesAt` of its row group, and all of their place but where it begins. */
export function recordsOf(
  batch: ScoredBatch,
  notesAt: number,
): { readonly bytes: Uint8Array; readonly place: Omit<RecordsPlace, "start" | "end"> } {
  const { count, topM } = batch;
  const classBytes = batch.classes.every((one) => one >= 0 && one < 2 ** 16) ? 2 : 4;
  const keys = followsFromFirst(batch) ? 1 : topM;
  const size = recordBytes({ topM, records: { start: 0, end: 0, crc32: 0, classBytes, keys } });
  const bytes = Buffer.alloc(count * size);
  let next = notesAt;
  for (let row = 0; row < count; row++) {
    const { digest, scores } = rowOf(batch, row);
    const record = bytes.subarray(row * size, (row + 1) * size);
    record.writeUInt32LE(rowChecksum(digest, scores), AT.crc);
    record.writeUInt32LE(scores.notes === null ? NO_NOTES : next, AT.notes);
    if (scores.notes !== null) next += 4 + Buffer.byteLength(scores.notes);
    record.writeDoubleLE(scores.logSumExp, AT.logSumExp);
    record.writeUInt32LE(scores.width, AT.width);
    record.writeUInt32LE(scores.height, AT.height);
    record.set(scores.pdq.hash, AT.pdq);
    record.writeBigInt64LE(batch.offset[row]!, AT.offset);
    record.writeUInt8(scores.pdq.quality, AT.quality);
    // Copied as bytes: NaN keeps its bits.
    record.set(bytesOf(scores.keys.subarray(0, keys)), AT.keys);
    const logitsAt = AT.keys + 8 * keys;
    record.set(bytesOf(scores.logits), logitsAt);
    const classes = classBytes === 2 ? Uint16Array.from(scores.classes) : scores.classes;
    record.set(bytesOf(classes), logitsAt + 4 * topM);
  }
  return { bytes, place: { classBytes, keys, crc32: crc32(bytes) } };
}

/** Whether each row's keys are its first key and the distance of the logits: so it is of a teacher of temperature 1 that tells one class. */
function followsFromFirst({ keys, logits, topM }: ScoredBatch): boolean {
  for (let at = 0; at < keys.length; at++) {
    const first = at - (at % topM);
    const key = logits[at]! - logits[first]! + keys[first]!;
    if (Number.isNaN(key) || !Object.is(key, keys[at])) return false;
  }
  return true;
}

/** A record's row, without what is in columns alone. Its checksum is looked at by `isRow`, once all of it is there. */
export interface RowRecord {
  readonly crc: number;
  readonly offset: bigint;
  /** Where its notes lie in the group; null where it has none */
  readonly notesAt: number | null;
  readonly scores: Omit<RowScores, "allLogits" | "embedding" | "notes">;
}

export function readRecord(bytes: Uint8Array, { topM, records }: Pick<RowGroupPlace, "topM" | "records">): RowRecord {
  // Memory of its own, aligned for the widest.
  const { buffer } = Uint8Array.from(bytes);
  const record = Buffer.from(buffer);
  const logitsAt = AT.keys + 8 * records.keys;
  const classesAt = logitsAt + 4 * topM;
  const logits = new Float32Array(buffer, logitsAt, topM);
  const written = new Float64Array(buffer, AT.keys, records.keys);
  const first = written[0]!;
  const notesAt = record.readUInt32LE(AT.notes);
  return {
    crc: record.readUInt32LE(AT.crc),
    offset: record.readBigInt64LE(AT.offset),
    notesAt: notesAt === NO_NOTES ? null : notesAt,
    scores: {
      classes:
        records.classBytes === 2
          ? Int32Array.from(new Uint16Array(buffer, classesAt, topM))
          : new Int32Array(buffer, classesAt, topM),
      keys: records.keys === topM ? written : Float64Array.from(logits, (logit) => logit - logits[0]! + first),
      logits,
      logSumExp: record.readDoubleLE(AT.logSumExp),
      pdq: { hash: record.subarray(AT.pdq, AT.pdq + PDQ_BYTES), quality: record.readUInt8(AT.quality) },
      width: record.readUInt32LE(AT.width),
      height: record.readUInt32LE(AT.height),
    },
  };
}

export function rowOf(batch: ScoredBatch, row: number): ArchivedScores {
  const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  return { digest, scores: rowScores(batch, row) };
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

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
