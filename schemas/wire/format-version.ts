import { z } from "zod";
import { messageOf, SluiceError } from "../errors.js";
import type { StoredRecord } from "../image-record.js";

/** The header that names a record's format version, in every topic. */
export const VERSION_HEADER = "sluice-schema";

/** Where a record was read, for messages. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

/**
 * Reads a record whose format has versions. `readers` has one for every version that was ever written: what was written
 * once is read for ever. Throws E_RECORD_SCHEMA for another version, and where the reader throws.
 */
export function readVersioned<T>(
  record: StoredRecord,
  place: RecordPlace,
  format: string,
  readers: Readonly<Record<string, (record: StoredRecord) => T>>,
): T {
  const where = `${place.topic}/${place.partition}/${record.offset}`;
  const version = record.headers[VERSION_HEADER];
  const read = version !== undefined && Object.hasOwn(readers, version) ? readers[version] : undefined;
  if (read === undefined) {
    const known = Object.keys(readers).join(", ");
    throw new SluiceError(
      "E_RECORD_SCHEMA",
      `Expected a ${format} record of version ${known} (header ${VERSION_HEADER}), found ${version === undefined ? "no version" : `"${version}"`} at ${where}. Upgrade Sluice here, or find out who else writes to the topic.`,
    );
  }
  try {
    return read(record);
  } catch (cause) {
    throw new SluiceError(
      "E_RECORD_SCHEMA",
      `Expected a ${format} record of version ${version} at ${where}, found bytes that do not read as one: ${faultOf(cause)}.`,
      { cause },
    );
  }
}

/** In one line: what a schema says of a value is a list. */
function faultOf(cause: unknown): string {
  if (cause instanceof z.ZodError)
    return cause.issues
      .map(({ path, message }) => `${path.length === 0 ? "" : `${path.join(".")}: `}${message}`)
      .join("; ");
  return messageOf(cause).replaceAll(/\s+/g, " ");
}

/** The value of a record that must have one. Throws TypeError. */
export function valueOf({ value }: StoredRecord): Uint8Array {
  if (value === null) throw new TypeError("it has no value");
  return value;
}

/** Bytes that are no UTF-8 are refused: read all the same, two names would become one. Throws TypeError, SyntaxError. */
export function jsonOf(record: StoredRecord): unknown {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(valueOf(record)));
}
