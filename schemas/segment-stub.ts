import { RecordBatchFileWriter, Table } from "apache-arrow";
import { z } from "zod";
import { scoredSchema } from "./scored-batch.js";
import type { SegmentHeader } from "./segment.js";

/** Keys of a segment's schema metadata: its header, and in a stub where its rows are; both JSON. */
export const SEGMENT_METADATA = { header: "sluice", stub: "sluice-stub" } as const;
export const STUB_VERSION = 1;

const count = z.int().nonnegative();

/** Where a segment's rows lie in a compacted file: one row group, whose pages are plain and not compressed. */
export const rowGroupPlaceSchema = z.strictObject({
  /** Which one of the file, from 0 */
  rowGroup: count,
  /** Bytes [start, end) of the file; `start` is a multiple of 8 */
  start: count,
  end: count,
  rows: z.int().positive(),
  topM: z.int().positive(),
  /** C where all logits are archived */
  classCount: z.int().positive().nullable(),
  /** D where embeddings are */
  embeddingSize: z.int().positive().nullable().default(null),
  /** Where each column's values begin, in bytes from `start`. Those of 8 bytes lie at multiples of 8. */
  columns: z.record(z.string(), count),
  /** Of the bytes [start, end): CRC-32 as an unsigned number, looked at on each read; SHA-256 in hexadecimal */
  crc32: count,
  sha256: z.string(),
});
export type RowGroupPlace = z.infer<typeof rowGroupPlaceSchema>;

/** What stands in the place of a segment that has been compacted. */
export const segmentStubSchema = z.strictObject({
  schemaVersion: z.literal(STUB_VERSION),
  /** The compacted file */
  key: z.string(),
  place: rowGroupPlaceSchema,
});
export type SegmentStub = z.infer<typeof segmentStubSchema>;

/**
 * An Arrow IPC file with a segment's columns and header and no record batch: whoever reads only headers sees no
 * difference. Equal input gives equal bytes.
 */
export function encodeStub(header: SegmentHeader, stub: SegmentStub): Uint8Array {
  const metadata = new Map([
    [SEGMENT_METADATA.header, JSON.stringify(header)],
    [SEGMENT_METADATA.stub, JSON.stringify(stub)],
  ]);
  return RecordBatchFileWriter.writeAll(new Table(scoredSchema(stub.place, metadata), [])).toUint8Array(true);
}

/** What an Arrow schema's metadata says of a stub; null where it is a segment's own. Throws what zod throws. */
export function stubIn(metadata: ReadonlyMap<string, string>): SegmentStub | null {
  const text = metadata.get(SEGMENT_METADATA.stub);
  return text === undefined ? null : segmentStubSchema.parse(JSON.parse(text));
}
