import { z } from "zod";
import { canonicalJson } from "../canonical.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { jsonOf, readVersioned, VERSION_HEADER, type RecordPlace } from "./format-version.js";

export const STREAM_STORE_VERSION = "1";

/** Says which store a stream's archive lies in. The first of a topic's records about a stream stands. */
const streamStoreSchema = z.strictObject({
  stream: z.string(),
  /** The store's id */
  store: z.string(),
  /** Where it lay as this was told, for people */
  place: z.string(),
  timeMs: z.int().nonnegative(),
});
export type StreamStore = z.infer<typeof streamStoreSchema>;

export function encodeStreamStore(told: StreamStore): LogRecord {
  return {
    key: Buffer.from(told.stream),
    value: Buffer.from(canonicalJson(told)),
    headers: { [VERSION_HEADER]: STREAM_STORE_VERSION },
    timestampMs: told.timeMs,
  };
}

/** Throws E_RECORD_SCHEMA. */
export function decodeStreamStore(record: StoredRecord, place: RecordPlace): StreamStore {
  return readVersioned(record, place, "store", { "1": (one) => streamStoreSchema.parse(jsonOf(one)) });
}
