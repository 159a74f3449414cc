import { RecordBatchFileWriter, RecordBatchReader, Table } from "apache-arrow";
import { z } from "zod";
import { SluiceError, ERROR_CODES, type ErrorCode } from "./errors.js";
import { fromRecordBatch, scoredSchema, toRecordBatch, widthsOf, type ScoredBatch } from "./scored-batch.js";
import { SEGMENT_METADATA, stubIn, type SegmentStub } from "./segment-stub.js";

export const SEGMENT_VERSION = 1;

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
  /** The datasets that decided whose bytes to keep, and the checkpoint frontier G of the thresholds each had */
  keepers: z.array(z.strictObject({ dataset: z.string(), parameters: z.string(), thresholdsAt: count.nullable() })),
  rejected: z.array(rejectedSchema),
  /** Offsets of quarantined records that rows of this segment take up again */
  retried: z.array(count),
});
export type SegmentHeader = z.infer<typeof segmentHeaderSchema>;

export interface Segment {
  readonly header: SegmentHeader;
  readonly batch: ScoredBatch;
}

/** An Arrow IPC file of one record batch, the header as JSON in the schema's metadata. Equal input gives equal bytes. */
export function encodeSegment({ header, batch }: Segment): Uint8Array {
  const schema = scoredSchema(widthsOf(batch), new Map([[SEGMENT_METADATA.header, JSON.stringify(header)]]));
  return RecordBatchFileWriter.writeAll(new Table(schema, [toRecordBatch(batch, schema)])).toUint8Array(true);
}

/** A segment whose rows are in a compacted file. */
export interface StubbedSegment {
  readonly header: SegmentHeader;
  readonly stub: SegmentStub;
}

/**
 * Reads a segment whose rows are in its own object; its columns are views of `bytes`. Throws E_SEGMENT_CORRUPT, naming
 * `key`, also for a stub.
 */
export function decodeSegment(bytes: Uint8Array, key: string): Segment {
  const found = decodeArchived(bytes, key);
  if ("batch" in found) return found;
  throw corrupt(key, new TypeError(`the segment was compacted into ${found.stub.key}`));
}

/** Reads a segment as `decodeSegment`, or what was left in its place when it was compacted. */
export function decodeArchived(bytes: Uint8Array, key: string): Segment | StubbedSegment {
  try {
    const reader = RecordBatchReader.from(bytes).open();
    const stub = stubIn(reader.schema.metadata);
    const header = parseHeader(reader.schema.metadata.get(SEGMENT_METADATA.header));
    if (stub !== null) {
      const { counts } = header;
      if (stub.place.rows === counts.scored + counts.copied) return { header, stub };
      throw new TypeError(`the header counts ${counts.scored + counts.copied} rows, the stub ${stub.place.rows}`);
    }
    const batches = [...reader];
    const only = batches[0];
    if (only === undefined || batches.length !== 1)
      throw new TypeError(`expected one record batch, found ${batches.length}`);
    const batch = fromRecordBatch(only);
    const { counts } = header;
    if (batch.count !== counts.scored + counts.copied || header.rejected.length !== counts.quarantined) {
      throw new TypeError(`the header counts ${counts.scored + counts.copied} rows, the batch has ${batch.count}`);
    }
    return { header, batch };
  } catch (error) {
    throw corrupt(key, error);
  }
}

/** What an Arrow file begins with, padded. It ends with the footer, the footer's length (4 bytes) and the magic. */
const MAGIC = Buffer.from("ARROW1\0\0");
const MAGIC_LENGTH = 6;
const TRAILER_BYTES = 4 + MAGIC_LENGTH;

/**
 * Reads only the header, from a segment's last bytes: it is in the file's footer, which must be whole.
 * Throws E_SEGMENT_CORRUPT.
 */
export function decodeSegmentHeader(tail: Uint8Array, key: string): SegmentHeader {
  return decodeSegmentHead(tail, key).header;
}

/** What can be known of a segment without its rows. */
export interface SegmentHead {
  readonly header: SegmentHeader;
  /** Where its rows are, if not in its own object */
  readonly stub: SegmentStub | null;
}

/** The header as `decodeSegmentHeader`, and whether it is a stub's. */
export function decodeSegmentHead(tail: Uint8Array, key: string): SegmentHead {
  try {
    // A reader of Arrow files looks at the magic and at the footer. What lies between need not be there.
    const bytes = Buffer.concat([MAGIC, tail]);
    const end = bytes.length - TRAILER_BYTES;
    const footerBytes = bytes.readInt32LE(end);
    if (!bytes.subarray(-MAGIC_LENGTH).equals(MAGIC.subarray(0, MAGIC_LENGTH)) || footerBytes > end - MAGIC.length) {
      throw new TypeError("it does not end with a whole footer");
    }
    const { metadata } = RecordBatchReader.from(bytes).open().schema;
    return { header: parseHeader(metadata.get(SEGMENT_METADATA.header)), stub: stubIn(metadata) };
  } catch (error) {
    throw corrupt(key, error);
  }
}

function parseHeader(text: string | undefined): SegmentHeader {
  if (text === undefined) throw new TypeError(`the schema's metadata has no "${SEGMENT_METADATA.header}"`);
  return segmentHeaderSchema.parse(JSON.parse(text));
}

function corrupt(key: string, cause: unknown): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected an archive segment (Arrow IPC file) at ${key}, found bytes that do not read as one: ${cause instanceof Error ? cause.message : String(cause)}. ` +
      "Restore the object from a copy; `sluice rebuild --allow-gaps` leaves its range out and marks the version incomplete.",
    { cause, key },
  );
}
