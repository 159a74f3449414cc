import { assertArrowBatches, assertArrowFooter } from "./arrow-frames.js";
import { counted } from "./counted.js";
import { crc32 } from "node:zlib";
import { RecordBatchFileWriter, RecordBatchReader, Table, type RecordBatch } from "apache-arrow";
import { z } from "zod";
import { repairsOf } from "./damage-repairs.js";
import { SluiceError, ERROR_CODES, type ErrorCode } from "./errors.js";
import { fromRecordBatch, scoredSchema, toRecordBatch, widthsOf, type ScoredBatch } from "./scored-batch.js";
import { crcDigits } from "./sealed-json.js";

export const SEGMENT_VERSION = 3;
/** Keys of a segment's schema metadata: its header (JSON), and its checksums. */
const METADATA = { header: "sluice", checksums: "sluice-checksums" } as const;

const count = z.int().nonnegative();
const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

/** One quarantined record: listed in the header of the segment whose range it lies in. */
export const rejectedSchema = z.strictObject({
  offset: count,
  code: errorCode,
  reason: z.string(),
  /** null where the bytes could not be read */
  sha256: z.string().nullable(),
  uri: z.string(),
  eventTimeMs: z.int(),
  retryOf: count.nullable(),
});
export type Rejected = z.infer<typeof rejectedSchema>;

export const engineInfoSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  backend: z.string(),
  device: z.string(),
  /**
   * `yes`: the conformance probe gave the same bits for every batch size. `padded`: it did not, so every batch is
   * padded to `batch` images, and scores depend on that number.
   */
  batchInvariant: z.enum(["yes", "padded"]),
  batch: z.int().positive(),
});
export type EngineInfo = z.infer<typeof engineInfoSchema>;

/** Records of a range: in = scored + copied + quarantined + lost */
export const recordCountsSchema = z.strictObject({
  in: count,
  scored: count,
  copied: count,
  quarantined: count,
  lost: count,
});
export type RecordCounts = z.infer<typeof recordCountsSchema>;

/** The datasets that decided whose bytes to keep, and the checkpoint frontier G of the thresholds each had */
export const keepersSchema = z.array(
  z.strictObject({ dataset: z.string(), parameters: z.string(), thresholdsAt: count.nullable() }),
);

/**
 * Says what a segment covers: offsets [start, end) of one partition under one teacher, following on the segment that
 * ends at `start`. in = scored + copied + quarantined + lost.
 */
export const segmentHeaderSchema = z.strictObject({
  schemaVersion: z.literal(SEGMENT_VERSION),
  teacher: z.string(),
  stream: z.string(),
  partition: count,
  /** The start of the chain that this segment belongs to */
  origin: count,
  start: count,
  end: count,
  counts: recordCountsSchema,
  /** Greatest event time up to this segment's end, ms; null before the first record. Never regresses along a chain. */
  watermarkMs: z.int().nullable(),
  engine: engineInfoSchema,
  codeVersion: z.string(),
  /** Why records were lost, where the range was no longer in the log */
  lostReason: z.string().nullable(),
  keepers: keepersSchema,
  rejected: z.array(rejectedSchema),
  /** Offsets of quarantined records that rows of this segment take up again */
  retried: z.array(count),
  /** The attempt that wrote this segment's own pack; null where nothing was kept that no other pack had */
  pack: z.string().nullable(),
});
export type SegmentHeader = z.infer<typeof segmentHeaderSchema>;

export interface Segment {
  readonly header: SegmentHeader;
  readonly batch: ScoredBatch;
}

/**
 * What the checksums' digits stand behind in the footer. No text of the header has control characters as they are, so it is
 * there once. First that of the footer, whose digits count as zeros; then that of all before the footer.
 */
const MARK = Buffer.from("\u0001crc32\u0001");
const ZEROS = "00000000:00000000";

/** What an Arrow file begins with, padded. It ends with the footer, the footer's length (4 bytes) and the magic. */
const MAGIC = Buffer.from("ARROW1\0\0");
const MAGIC_LENGTH = 6;
const TRAILER_BYTES = 4 + MAGIC_LENGTH;

/**
 * An Arrow IPC file of one record batch, the header as JSON in the schema's metadata beside the file's checksums. Equal input
 * gives equal bytes.
 */
export function encodeSegment({ header, batch }: Segment): Uint8Array {
  const metadata = new Map<string, string>([
    [METADATA.header, JSON.stringify(header)],
    [METADATA.checksums, MARK.toString() + ZEROS],
  ]);
  const schema = scoredSchema(widthsOf(batch), metadata);
  const made = RecordBatchFileWriter.writeAll(new Table(schema, [toRecordBatch(batch, schema)])).toUint8Array(true);
  const bytes = Buffer.from(made.buffer, made.byteOffset, made.length);
  const start = footerStart(bytes);
  const footer = bytes.subarray(start);
  footer.write(checksumsOf(footer, bytes.subarray(0, start)), digitsAt(footer), "latin1");
  return made;
}

/**
 * Reads a segment, its checksums and counts looked at; its columns are views of `bytes`. Throws E_SEGMENT_CORRUPT, naming
 * `key`.
 */
export function decodeSegment(bytes: Uint8Array, key: string): Segment {
  try {
    checkFooter(bytes);
    const held = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const start = footerStart(held);
    const [, written] = checksumsIn(held.subarray(start));
    if (crcDigits(crc32(held.subarray(0, start))) !== written)
      throw new TypeError("its rows are not those that were written");
    assertArrowBatches(bytes, start, bytes.length - TRAILER_BYTES);
    const reader = RecordBatchReader.from(bytes).open();
    const header = parseHeader(reader.schema.metadata.get(METADATA.header));
    const only = reader.next().value as RecordBatch | undefined;
    if (only === undefined || reader.next().done !== true)
      throw new TypeError(`expected one record batch, found ${only === undefined ? "none" : "more"}`);
    const batch = fromRecordBatch(only);
    const { counts } = header;
    if (batch.count !== counts.scored + counts.copied || header.rejected.length !== counts.quarantined) {
      throw new TypeError(
        `the header counts ${counted(counts.scored + counts.copied, "row")}, the batch has ${batch.count}`,
      );
    }
    assertKeys(batch);
    return { header, batch };
  } catch (error) {
    throw corrupt(key, error);
  }
}

/** A rank key is a log-probability: one above 0 was never computed, and would rank first. Throws TypeError. */
export function assertKeys({ keys, topM, offset }: Pick<ScoredBatch, "keys" | "topM" | "offset">): void {
  for (let at = 0; at < keys.length; at++) {
    if (keys[at]! > 0)
      throw new TypeError(`the row of offset ${offset[Math.floor(at / topM)]} has a rank key above 0 (${keys[at]})`);
  }
}

/**
 * Reads only the header, from a segment's last bytes: it is in the file's footer, which must be whole.
 * Throws E_SEGMENT_CORRUPT.
 */
export function decodeSegmentHeader(tail: Uint8Array, key: string): SegmentHeader {
  try {
    checkFooter(tail);
    // A reader of Arrow files looks at the magic and at the footer. What lies between need not be there.
    const { metadata } = RecordBatchReader.from(Buffer.concat([MAGIC, tail])).open().schema;
    return parseHeader(metadata.get(METADATA.header));
  } catch (error) {
    throw corrupt(key, error);
  }
}

/** Whether two segments say that they have the same header and the same rows; false where one cannot say it. */
export function sameChecksums(a: Uint8Array, b: Uint8Array): boolean {
  const said = (bytes: Uint8Array): string | null => {
    try {
      checkFooter(bytes);
      const held = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      return checksumsIn(held.subarray(footerStart(held))).join(":");
    } catch (error) {
      if (error instanceof TypeError) return null;
      throw error;
    }
  };
  const one = said(a);
  return one !== null && one === said(b);
}

/** Throws TypeError where the file's footer is not the one that was written. */
function checkFooter(tail: Uint8Array): void {
  const held = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  const footer = held.subarray(footerStart(held));
  const [written] = checksumsIn(footer);
  const zeroed = Buffer.from(footer);
  zeroed.write(ZEROS, digitsAt(zeroed), "latin1");
  if (crcDigits(crc32(zeroed)) !== written) throw new TypeError("its footer is not the one that was written");
  assertArrowFooter(held, footerStart(held), held.length - TRAILER_BYTES);
}

function footerStart(bytes: Buffer): number {
  const end = bytes.length - TRAILER_BYTES;
  const footerBytes = end < 0 ? -1 : bytes.readInt32LE(end);
  if (!bytes.subarray(-MAGIC_LENGTH).equals(MAGIC.subarray(0, MAGIC_LENGTH)) || footerBytes < 0 || footerBytes > end) {
    throw new TypeError("it does not end with a whole footer");
  }
  return end - footerBytes;
}

/** `footer` has zeros for digits. */
function checksumsOf(footer: Uint8Array, before: Uint8Array): string {
  return `${crcDigits(crc32(footer))}:${crcDigits(crc32(before))}`;
}

function checksumsIn(footer: Buffer): string[] {
  const at = digitsAt(footer);
  return footer.toString("latin1", at, at + ZEROS.length).split(":");
}

function digitsAt(footer: Buffer): number {
  const mark = footer.lastIndexOf(MARK);
  if (mark < 0) throw new TypeError("its footer has no checksums");
  return mark + MARK.length;
}

function parseHeader(text: string | undefined): SegmentHeader {
  if (text === undefined) throw new TypeError(`the schema's metadata has no "${METADATA.header}"`);
  return segmentHeaderSchema.parse(JSON.parse(text));
}

function corrupt(key: string, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected an archive segment (Arrow IPC file) at ${key}, found bytes that do not read as one: ${cause instanceof Error ? cause.message : String(cause)}. ` +
      repairsOf(key),
    { cause, key },
  );
}
