import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { decodeSegment } from "../../schemas/segment.js";

/** Bytes read at each end of a file before it is known how long its metadata is */
const GUESS_BYTES = 16 * 1024;
/** At the start: "ARROW1", padded, four bytes of ones, the length of the batch's metadata. The schema is in the footer. */
const LENGTH_AT = 12;
const METADATA_AT = 16;
/** At the end: the footer's length, "ARROW1" */
const TRAILER_BYTES = 10;

/**
 * Segments one after the other, of which only the columns that a rank is made of are read: digest, partition, offset,
 * classes and keys. The others hold whatever the buffer held. A batch is valid until the next one.
 */
export function* rankedColumns(files: Iterable<string>): Generator<ScoredBatch> {
  let buffer = new Uint8Array(0);
  for (const file of files) {
    const descriptor = openSync(file, "r");
    const sizeBytes = fstatSync(descriptor).size;
    if (buffer.length < sizeBytes) buffer = new Uint8Array(sizeBytes);
    const bytes = buffer.subarray(0, sizeBytes);
    const read = (from: number, until: number): void => {
      for (let at = from; at < until;) at += readSync(descriptor, bytes, at, until - at, at);
    };
    readMetadata(bytes, read);
    const { batch } = decodeSegment(bytes, file);
    read(startOf(batch.digest, buffer), endOf(batch.offset, buffer));
    read(startOf(batch.classes, buffer), endOf(batch.keys, buffer));
    closeSync(descriptor);
    yield batch;
  }
}

function readMetadata(bytes: Uint8Array, read: (from: number, until: number) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const least = Math.min(bytes.length, GUESS_BYTES);
  read(0, least);
  read(bytes.length - least, bytes.length);
  const metadataEnd = METADATA_AT + view.getInt32(LENGTH_AT, true);
  if (metadataEnd > least) read(least, metadataEnd);
  const footer = bytes.length - TRAILER_BYTES - view.getInt32(bytes.length - TRAILER_BYTES, true);
  if (footer < bytes.length - least) read(footer, bytes.length - least);
}

function startOf(column: ArrayBufferView, buffer: Uint8Array): number {
  return column.byteOffset - buffer.byteOffset;
}

function endOf(column: ArrayBufferView, buffer: Uint8Array): number {
  return column.byteOffset + column.byteLength - buffer.byteOffset;
}
