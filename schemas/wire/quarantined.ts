import { z } from "zod";
import { canonicalJson } from "../canonical.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { jsonOf, readVersioned, VERSION_HEADER, type RecordPlace } from "./format-version.js";

export const QUARANTINED_VERSION = "1";

const count = z.int().nonnegative();

/** One record that could not be used: the same as in the header of the segment that its offset lies in. */
const quarantinedSchema = z.strictObject({
  teacher: z.string(),
  stream: z.string(),
  partition: count,
  offset: count,
  /** An error code; one that this release does not know is kept as it is */
  code: z.string(),
  reason: z.string(),
  /** null where the bytes could not be read */
  sha256: z.string().nullable(),
  uri: z.string(),
  eventTimeMs: z.int(),
  retryOf: count.nullable(),
});
export type Quarantined = z.infer<typeof quarantinedSchema>;

/** Keyed by the record's place, so that one that is told twice is told apart. */
export function encodeQuarantined(quarantined: Quarantined, nowMs: number): LogRecord {
  const { teacher, stream, partition, offset } = quarantined;
  return {
    key: Buffer.from(`${teacher}/${stream}/${partition}/${offset}`),
    value: Buffer.from(canonicalJson(quarantined)),
    headers: { [VERSION_HEADER]: QUARANTINED_VERSION },
    timestampMs: nowMs,
  };
}

/** Throws E_RECORD_SCHEMA. */
export function decodeQuarantined(record: StoredRecord, place: RecordPlace): Quarantined {
  return readVersioned(record, place, "quarantine", { "1": (one) => quarantinedSchema.parse(jsonOf(one)) });
}
