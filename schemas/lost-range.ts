import { z } from "zod";
import { messageOf, SluiceError } from "./errors.js";
import { openSealedJson, sealJson } from "./sealed-json.js";
import { engineInfoSchema, recordCountsSchema, rejectedSchema } from "./segment.js";

export const LOST_RANGE_VERSION = 1;

const count = z.int().nonnegative();

/** What stands for a segment whose rows are lost: as much of its header as is known. It has no rows. */
const lostSegmentSchema = z
  .strictObject({
    end: count,
    counts: recordCountsSchema,
    watermarkMs: z.int().nullable(),
    rejected: z.array(rejectedSchema),
    retried: z.array(count),
    /** Images of other segments may lie in its pack */
    pack: z.string().nullable(),
  })
  .refine(({ counts }) => counts.scored + counts.copied === 0, "expected no rows");
export type LostSegment = z.infer<typeof lostSegmentSchema>;

/**
 * Offsets [start, end) of one chain that somebody declared lost, since they cannot be read. Declarations of one (teacher, stream) are
 * numbered from 0, each created only if absent; no two share an offset, and none is ever taken back.
 */
export const lostRangeSchema = z.strictObject({
  schemaVersion: z.literal(LOST_RANGE_VERSION),
  partition: count,
  /** Of the chain */
  origin: count,
  start: count,
  end: count,
  reason: z.string().min(1),
  author: z.string(),
  /** ms since the epoch */
  declaredMs: z.int(),
  /** The object that was damaged or missing */
  key: z.string().nullable(),
  /** Of the segments, or of one beside them */
  engine: engineInfoSchema,
  codeVersion: z.string(),
  /** In order; where nothing says where they ended, as many as are known of */
  segments: z.array(lostSegmentSchema).min(1),
});
export type LostRange = z.infer<typeof lostRangeSchema>;

export function encodeLostRange(range: LostRange): Uint8Array {
  return sealJson(range);
}

/** Throws E_SEGMENT_CORRUPT, naming `key`. */
export function decodeLostRange(bytes: Uint8Array, key: string): LostRange {
  try {
    const range = lostRangeSchema.parse(openSealedJson(bytes));
    if (range.segments.at(-1)?.end !== range.end) throw new TypeError("its segments do not end where it does");
    return range;
  } catch (cause) {
    throw new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected a declaration of lost offsets (JSON, version ${LOST_RANGE_VERSION}) at ${key}, found something else: ${messageOf(cause)}. ` +
        "Restore the object from a copy.",
      { cause, key },
    );
  }
}

/** Records of a range that are lost. */
export function recordsLost({ segments }: Pick<LostRange, "segments">): number {
  return segments.reduce((sum, { counts }) => sum + counts.lost, 0);
}
