import { z } from "zod";
import { readSealed, sealJson } from "./sealed-json.js";

/** A topic of a log as it was made once: one that is made anew under its name is another. */
export const logIdentitySchema = z.strictObject({
  kind: z.enum(["embedded", "kafka"]),
  /** Of an embedded log, drawn as it was made; of a Kafka topic, what its brokers call it: null where they do not (before 2.8) */
  id: z.string().min(1).nullable(),
  /** Of a topic that took another one's place, by partition: offsets of the chain = base + offset in the topic. Default: none */
  bases: z.array(z.int()).optional(),
});
export type LogIdentity = z.infer<typeof logIdentitySchema>;

const streamLogSchema = z.strictObject({ schemaVersion: z.literal(1), log: logIdentitySchema });

export function encodeStreamLog(log: LogIdentity): Uint8Array {
  return sealJson({ schemaVersion: 1, log }, 2);
}

/** Throws E_STORE_CORRUPT. */
export function decodeStreamLog(bytes: Uint8Array, key: string): LogIdentity {
  return readSealed(streamLogSchema, bytes, { key, what: "the identity of a stream's log", repair: "Restore it." }).log;
}

export function isSameLog(a: LogIdentity, b: LogIdentity): boolean {
  return a.kind === b.kind && a.id === b.id && hasSameBases(a, b);
}

/** Whether offsets of both are counted from the same places. */
export function hasSameBases({ bases: a = [] }: LogIdentity, { bases: b = [] }: LogIdentity): boolean {
  const partitions = Math.max(a.length, b.length);
  return Array.from({ length: partitions }, (_, at) => (a[at] ?? 0) === (b[at] ?? 0)).every(Boolean);
}
