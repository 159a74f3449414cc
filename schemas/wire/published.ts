import { z } from "zod";
import { canonicalJson } from "../canonical.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { jsonOf, readVersioned, VERSION_HEADER, type RecordPlace } from "./format-version.js";

/** Version 2 is for versions that have a delta. */
export const PUBLISHED_VERSION = "1";
export const WITH_DELTA_VERSION = "2";

const count = z.int().nonnegative();

/** Says that a version was published: the manifest in the store is the truth, this message only tells that it is there. */
const publishedSchema = z.strictObject({
  dataset: z.string(),
  number: z.int().positive(),
  /** SHA-256 of the version's content, hexadecimal */
  id: z.string(),
  parent: z.string().nullable(),
  teacher: z.string(),
  stream: z.string(),
  /** Where the manifest lies in the store */
  manifest: z.string(),
  rows: count,
  images: count,
  createdAtMs: count,
});
const withDeltaSchema = publishedSchema.extend({
  /** Where the object lies that makes the version numbered `since` into this one */
  delta: z.strictObject({ key: z.string(), since: z.int().positive() }),
});
export type Published = z.infer<typeof publishedSchema> & Partial<Pick<z.infer<typeof withDeltaSchema>, "delta">>;

/** Keyed by dataset and number: a version that is told twice is the same record twice. The topic has one partition, so that they stay in order. */
export function encodePublished(published: Published): LogRecord {
  return {
    key: Buffer.from(`${published.dataset}/${published.number}`),
    value: Buffer.from(canonicalJson(published)),
    headers: { [VERSION_HEADER]: published.delta === undefined ? PUBLISHED_VERSION : WITH_DELTA_VERSION },
    timestampMs: published.createdAtMs,
  };
}

/** Throws E_RECORD_SCHEMA. */
export function decodePublished(record: StoredRecord, place: RecordPlace): Published {
  return readVersioned(record, place, "versions", {
    "1": (one) => publishedSchema.parse(jsonOf(one)),
    "2": (one) => withDeltaSchema.parse(jsonOf(one)),
  });
}
