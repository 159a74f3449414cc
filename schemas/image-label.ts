import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { isTimeMs, unitFault } from "./image-record.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

export const LABEL_SEGMENT_VERSION = 1;

const count = z.int().nonnegative();

const said = {
  /** SHA-256 of the image's bytes */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits"),
  /** When it was said, ms since the epoch, UTC */
  timeMs: z.int(),
  /** Who said it; null where that is not known */
  by: z.string().min(1).nullable(),
};
const named = {
  /** One of the teacher's labels, as it was called when this was said */
  class: z.string(),
  /** Which of the teacher's classes, where several are called so */
  number: count.optional(),
};

/**
 * What somebody says of an image. `is`: of that class and of no other one; `not`: not of that class; `none`: of no class
 * at all; `duplicate`: another image stands for it, whatever it shows; `withdrawn`: nothing that was said before holds any more.
 */
const opinions = [
  z.strictObject({ verdict: z.literal("is"), ...named, ...said }),
  z.strictObject({ verdict: z.literal("not"), ...named, ...said }),
  z.strictObject({ verdict: z.literal("none"), ...said }),
  z.strictObject({ verdict: z.literal("duplicate"), ...said }),
  z.strictObject({ verdict: z.literal("withdrawn"), ...said }),
] as const;

/** What people may say, in a file or on the labels topic. */
export const opinionSchema = z.discriminatedUnion("verdict", [...opinions]);

/** ms since the epoch before this (1973) are seconds of our days: labels are younger. */
const LEAST_MS = 100_000_000_000;

/** What is wrong with a label's time, and what to write; null for nothing. */
export function labelTimeFault(timeMs: number): string | null {
  const fault = unitFault(timeMs);
  if (fault !== null) return `${timeMs}${fault}`;
  if (!isTimeMs(timeMs)) return `${timeMs}, which is no time`;
  return Math.abs(timeMs) < LEAST_MS ? `${timeMs}, which is ${new Date(timeMs).toISOString()}` : null;
}

/** `erased`: the image is in no version any more and is never stored again, whatever is said of it before or after. */
export const imageLabelSchema = z.discriminatedUnion("verdict", [
  ...opinions,
  z.strictObject({ verdict: z.literal("erased"), reason: z.string().min(1).optional(), ...said }),
]);
export type ImageLabel = z.infer<typeof imageLabelSchema>;

/** The label log's partition for what is said without a labels topic, on the archive itself. */
export const DIRECT_LABELS = 0;

/**
 * The label log's partition for a partition of the labels topic. The log is read partition after partition: what the topic
 * says of an image counts after all that was said without it, and offsets there are the topic's own.
 */
export function topicLabels(topicPartition: number): number {
  return DIRECT_LABELS + 1 + topicPartition;
}

/** Up to where each partition of a stream's label log is taken in: offsets below `end`. Ordered by partition. */
export const labelFrontierSchema = z.array(z.strictObject({ partition: count, end: count }));
export type LabelFrontier = z.infer<typeof labelFrontierSchema>;

/** Whether every partition of `low` ends at or below its end in `high`. */
export function labelsAtOrBelow(low: LabelFrontier, high: LabelFrontier): boolean {
  return low.every(({ partition, end }) => end <= (high.find((at) => at.partition === partition)?.end ?? 0));
}

/** Labels at offsets [start, end) of one partition of a stream's label log. The next segment starts at `end`. */
const labelSegmentSchema = z.strictObject({
  schemaVersion: z.literal(LABEL_SEGMENT_VERSION),
  stream: z.string(),
  partition: count,
  start: count,
  end: count,
  labels: z.array(imageLabelSchema),
});
export type LabelSegment = z.infer<typeof labelSegmentSchema>;

export function encodeLabelSegment(segment: LabelSegment): Uint8Array {
  return sealJson(segment);
}

/** Throws E_SEGMENT_CORRUPT, naming `key`. */
export function decodeLabelSegment(bytes: Uint8Array, key: string): LabelSegment {
  try {
    const segment = labelSegmentSchema.parse(openSealedJson(bytes));
    if (segment.labels.length > segment.end - segment.start) throw new TypeError("it has more labels than offsets");
    return segment;
  } catch (cause) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected labels at ${key}, found bytes that do not read as such: ${messageOf(cause)}. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
