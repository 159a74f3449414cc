import { z } from "zod";
import { imageLabelSchema } from "../image-label.js";
import { rejectedSchema } from "../segment.js";
import { authorText, count, precisionSchema, sha256Text } from "./shared.js";

/** One time that an image was seen. */
const sightingSchema = z.strictObject({
  teacher: sha256Text,
  teacherName: z.string(),
  stream: z.string(),
  partition: count,
  offset: count,
  uri: z.string(),
  eventTimeMs: z.int(),
  sizeBytes: count,
  width: count,
  height: count,
  licence: z.string().nullable(),
  origin: z.string().nullable(),
  /** What was done to the picture so that the teacher could see it */
  notes: z.array(z.string()).readonly(),
  /** Its scores were those of an earlier sighting */
  copied: z.boolean(),
  retryOf: count.nullable(),
  bytes: z.enum(["kept", "refer", "absent"]),
  /** The best classes, best first */
  scores: z.array(z.strictObject({ class: count, label: z.string(), probability: z.number() })).readonly(),
});
export type Sighting = z.infer<typeof sightingSchema>;

/** What became of an image in one class of one version. */
const fateSchema = z.strictObject({
  dataset: z.string(),
  number: z.int().positive(),
  class: count,
  label: z.string(),
  /** null: it is not in the version */
  rank: z.int().positive().nullable(),
  k: z.int().positive(),
  /** The probability that the version gave or would have given it, and of its last row */
  probability: z.number().nullable(),
  cutoff: z.number().nullable(),
  because: z.string(),
});
export type Fate = z.infer<typeof fateSchema>;

export const imageLifeSchema = z.strictObject({
  sha256: sha256Text,
  /** Whether its bytes can be shown */
  bytes: z.enum(["there", "absent"]),
  sightings: z.array(sightingSchema).readonly(),
  quarantine: z.array(rejectedSchema.extend({ stream: z.string(), partition: count })).readonly(),
  fates: z.array(fateSchema).readonly(),
  /** What people said of it, in order */
  labels: z.array(imageLabelSchema).readonly(),
});
export type ImageLife = z.infer<typeof imageLifeSchema>;

export const labelListSchema = z.strictObject({ count, labels: z.array(imageLabelSchema).readonly() });

const saying = {
  sha256: z.array(sha256Text).min(1).max(500).readonly(),
  by: authorText.optional().describe("who says so; by default the server's author"),
  /** How many times something was said of the image when it was shown: where it is more now, the answer is 409 */
  seen: count.optional(),
};

/** A verdict, as `sluice label` takes it. */
export const labelBodySchema = z.discriminatedUnion("verdict", [
  z.strictObject({ verdict: z.literal("is"), class: z.string().min(1), ...saying }),
  z.strictObject({ verdict: z.literal("not"), class: z.string().min(1), ...saying }),
  z.strictObject({ verdict: z.literal("none"), ...saying }),
  z.strictObject({ verdict: z.literal("duplicate"), ...saying }),
  z.strictObject({ verdict: z.literal("withdrawn"), ...saying }),
]);

export const undoBodySchema = z.strictObject({
  sha256: sha256Text,
  by: authorText.optional(),
  /** How many times something was said of it after what is to be undone */
  seen: count.optional(),
});

export const labelledSchema = z.strictObject({
  /** Images of which something new was said: nothing is there to undo of the others, of which the same stands already */
  labelled: count,
  stream: z.string(),
  /** What holds of each image now, and how often something was said of it */
  images: z
    .array(z.strictObject({ sha256: sha256Text, seen: count, labels: z.array(imageLabelSchema).readonly() }))
    .readonly(),
});
export type Labelled = z.infer<typeof labelledSchema>;

export const REVIEWS = ["doubtful", "unsure", "audit", "quarantine"] as const;
export type ReviewKind = (typeof REVIEWS)[number];

/** One image that needs a person. */
const reviewItemSchema = z.strictObject({
  sha256: sha256Text.nullable(),
  uri: z.string(),
  /** 0 where it is not known */
  sizeBytes: count,
  class: count.nullable(),
  label: z.string().nullable(),
  probability: z.number().nullable(),
  cutoff: z.number().nullable(),
  rank: z.int().positive().nullable(),
  /** Whether it is in the newest version, or would be next */
  kept: z.boolean(),
  why: z.string(),
  /** Of a refused record: where it lies in the stream, and its code */
  refused: z.strictObject({ partition: count, offset: count, code: z.string() }).nullable(),
  seen: count,
  /** The newest that was said of it */
  said: imageLabelSchema.nullable(),
});
export type ReviewItem = z.infer<typeof reviewItemSchema>;

export const reviewSchema = z.strictObject({
  kind: z.enum(REVIEWS),
  total: count,
  done: count,
  /** Of an audit: the share of right rows among those judged, and its 95 % interval (Wilson) */
  precision: precisionSchema.nullable(),
  /** Of unsure images: whether all that is archived was looked at, or how much of it */
  basis: z.string().nullable(),
  byCode: z.record(z.string(), count),
  items: z.array(reviewItemSchema).readonly(),
});
export type Review = z.infer<typeof reviewSchema>;

/** Records to be taken up again, as `sluice quarantine retry` does. */
export const retryBodySchema = z.strictObject({
  records: z
    .array(z.strictObject({ partition: count, offset: count }))
    .min(1)
    .max(500)
    .readonly(),
  by: authorText.optional(),
});

export const retriedSchema = z.strictObject({
  /** Appended to the stream again */
  appended: count,
  /** Their bytes are nowhere any more, or their producer must send them anew */
  unavailable: count,
  /** Not in quarantine any more */
  missing: count,
  /** What happens next, for people */
  next: z.string(),
});
export type RetriedRecords = z.infer<typeof retriedSchema>;
