import { z } from "zod";
import { datasetNameSchema } from "../dataset.js";

export const count = z.int().nonnegative();
export const sha256Text = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");

/** What people write that stands in logs: no line breaks and no control sequences; joiners are letters' business. */
export const lineText = z.string().regex(/^(?:\P{C}|[\u200c\u200d])+$/u, "expected text without control characters");
export const authorText = lineText.min(1).max(200);

/** Most rows, classes or images that one answer holds: a page that asks for more is refused. */
export const MOST_PAGE = 500;

/** What a query string may ask for: numbers come as text there. */
export const numberText = <S extends z.ZodNumber | z.ZodInt>(schema: S) =>
  z.preprocess((text) => (typeof text === "string" && text.trim() !== "" ? Number(text) : text), schema);

export const pageQuery = {
  from: numberText(z.int().nonnegative()).default(0).describe("how many to pass over"),
  limit: numberText(z.int().positive().max(MOST_PAGE)).default(100).describe("how many at most"),
};

export const datasetPath = { dataset: datasetNameSchema.describe("a dataset's name") };
export const versionPath = {
  ...datasetPath,
  version: z
    .string()
    .regex(/^(latest|[1-9]\d{0,14})$/, "expected latest or a number")
    .describe("latest, or a number"),
};
export const classPath = {
  class: z
    .union([
      numberText(z.int().nonnegative()),
      z
        .string()
        .regex(/^name:./su, "expected a number, or name: and a label")
        .max(2000),
    ])
    .describe(
      "a class: its number among those that are ranked, or `name:` and what it is called (or its `#number`), percent-encoded: a link by name leads to the same class when others are declared",
    ),
};
export type AskedClass = z.output<typeof classPath.class>;

/** The share of right rows among those judged, and its 95 % interval (Wilson). */
export const precisionSchema = z.strictObject({
  right: count,
  judged: count,
  share: z.number(),
  low: z.number(),
  high: z.number(),
});

/** One chosen (image, class), as the version's index has it. */
export const rowSchema = z.strictObject({
  class: count,
  label: z.string(),
  rank: z.int().positive(),
  sha256: sha256Text,
  /** null of a row by a label that the teacher did not archive in the class */
  key: z.number().nullable(),
  probability: z.number().nullable(),
  uri: z.string(),
  partition: count,
  offset: count,
  eventTimeMs: z.int(),
  sizeBytes: count,
  width: count,
  height: count,
  licence: z.string().nullable(),
  origin: z.string().nullable(),
  notes: z.string().nullable(),
  bytes: z.enum(["shard", "absent"]),
  shard: z.string().nullable(),
  repeat: count,
  by: z.enum(["teacher", "label"]),
});

/** Long work that an answer waits for; the page asks again when `job` events say that it is done. */
export const pendingSchema = z.strictObject({
  pending: z.literal(true),
  /** What is done */
  what: z.string(),
  /** Segments read so far, and in all where that is known */
  done: count,
  total: count.nullable(),
});
export type Pending = z.infer<typeof pendingSchema>;

/** What went wrong: `field` names the parameter, where one is to blame. */
export const errorSchema = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    field: z.string().optional(),
    /** What was said of the image meanwhile, where two people label it */
    said: z.array(z.unknown()).optional(),
  }),
});
export type ApiError = z.infer<typeof errorSchema>;
