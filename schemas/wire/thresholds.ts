import { z } from "zod";
import { canonicalJson } from "../canonical.js";
import type { LogRecord, StoredRecord } from "../image-record.js";
import { frontierSchema } from "../frontier.js";
import { readVersioned, valueOf, VERSION_HEADER, type RecordPlace } from "./format-version.js";

export const THRESHOLDS_VERSION = "1";

const count = z.int().nonnegative();

const headerSchema = z.strictObject({
  dataset: z.string(),
  parameters: z.string(),
  teacher: z.string(),
  paneMs: z.int().nullable(),
  shard: count,
  shards: z.int().positive(),
  /** The frontier of the checkpoint that they come from */
  at: frontierSchema,
  /** Records that it covers */
  records: count,
  /** Images scored among them, which K by share follows */
  scored: count,
});

/**
 * Below which rank keys a class shard needs no candidates of one dataset, teacher and pane any more. Only ever from a
 * durable checkpoint. The topic is compacted: the newest under a key holds.
 */
export interface Thresholds extends z.infer<typeof headerSchema> {
  /** Rank keys, one for each class c with c mod shards = shard, ascending; -Infinity: everything is needed, [n] */
  readonly keys: Float64Array;
  /** Distinct images of each of these classes, at most K + R, [n] */
  readonly counts: Uint32Array;
}

/** A record's key: what a newer threshold replaces. `paneMs` null: the global window. */
export function thresholdsKey({
  dataset,
  teacher,
  paneMs,
  shard,
}: Pick<Thresholds, "dataset" | "teacher" | "paneMs" | "shard">): string {
  return `${dataset}/${teacher}/${paneMs ?? "global"}/${shard}`;
}

/** What a record's key says; null for another text. */
export function thresholdsPlace(key: string): Parameters<typeof thresholdsKey>[0] | null {
  const [, dataset, teacher, pane, shard] = /^([^/]+)\/([^/]+)\/(global|-?\d+)\/(\d+)$/.exec(key) ?? [];
  if (dataset === undefined || teacher === undefined) return null;
  return { dataset, teacher, paneMs: pane === "global" ? null : Number(pane), shard: Number(shard) };
}

/** Length of the header (u32), header (JSON), the keys (float64), then the counts (u32); all little-endian. */
export function encodeThresholds({ keys, counts, ...header }: Thresholds, nowMs: number): LogRecord {
  const text = Buffer.from(canonicalJson(header));
  const countsAt = 4 + text.length + 8 * keys.length;
  const value = Buffer.alloc(countsAt + 4 * counts.length);
  value.writeUInt32LE(text.length, 0);
  text.copy(value, 4);
  keys.forEach((key, i) => value.writeDoubleLE(key, 4 + text.length + 8 * i));
  counts.forEach((images, i) => value.writeUInt32LE(images, countsAt + 4 * i));
  return {
    key: Buffer.from(thresholdsKey(header)),
    value,
    headers: { [VERSION_HEADER]: THRESHOLDS_VERSION },
    timestampMs: nowMs,
  };
}

/** Ends a key: a pane that is closed takes no candidates, and its thresholds need not stay. */
export function forgetThresholds(of: Parameters<typeof thresholdsKey>[0], nowMs: number): LogRecord {
  return { key: Buffer.from(thresholdsKey(of)), value: null, headers: {}, timestampMs: nowMs };
}

/** null for a record that ends its key. Throws E_RECORD_SCHEMA. */
export function decodeThresholds(record: StoredRecord, place: RecordPlace): Thresholds | null {
  if (record.value === null) return null;
  return readVersioned(record, place, "thresholds", { "1": readVersion1 });
}

function readVersion1(record: StoredRecord): Thresholds {
  const value = Buffer.from(valueOf(record));
  const start = 4 + value.readUInt32LE(0);
  const header = headerSchema.parse(JSON.parse(value.subarray(4, start).toString()));
  const classes = (value.length - start) / (8 + 4);
  if (!Number.isSafeInteger(classes)) throw new TypeError(`its keys and counts take ${value.length - start} bytes`);
  const keys = Float64Array.from({ length: classes }, (_, i) => value.readDoubleLE(start + 8 * i));
  const counts = Uint32Array.from({ length: classes }, (_, i) => value.readUInt32LE(start + 8 * classes + 4 * i));
  if (keys.some(Number.isNaN)) throw new TypeError("a key is not a number");
  const key = Buffer.from(record.key ?? []).toString();
  if (key !== thresholdsKey(header))
    throw new TypeError(`its key is "${key}", its header says "${thresholdsKey(header)}"`);
  return { ...header, keys, counts };
}
