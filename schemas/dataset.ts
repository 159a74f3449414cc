import { z } from "zod";
import { canonicalJson, sha256Hex, type Json } from "./canonical.js";

/** What a version is a function of, beside scores and labels. All of it is in the version's id; defaults leave no trace. */
export const selectionSchema = z.strictObject({
  k: z.int().positive().default(1000).describe("K: images a class"),
  p: z.int().positive().default(10).describe("P: each image stands for its P best classes only; at most archive.topM"),
  floor: z.number().min(0).lt(1).default(0).describe("least probability of a chosen row"),
});
export type Selection = z.infer<typeof selectionSchema>;

const lengthMs = z.int().positive();
const offsetMs = z.int().default(0).describe("where windows begin: this long after the epoch, ms; 0 is midnight UTC");

/** How event time is cut into windows [start, end). Lengths in ms. */
export const windowSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("global").describe("everything since startMs, or ever"),
      startMs: z.int().optional().describe("event time that the window begins at, ms since the epoch"),
    }),
    z.strictObject({
      kind: z.literal("tumbling").describe("one window after the other"),
      sizeMs: lengthMs.describe("length of a window, ms"),
      offsetMs,
    }),
    z.strictObject({
      kind: z.literal("hopping").describe("windows that overlap"),
      sizeMs: lengthMs.describe("length of a window, ms; a multiple of everyMs"),
      everyMs: lengthMs.describe("a window begins this often, ms"),
      offsetMs,
    }),
  ])
  .refine((window) => window.kind !== "hopping" || window.sizeMs % window.everyMs === 0, {
    message: "expected sizeMs to be a multiple of everyMs",
    path: ["sizeMs"],
  });
export type Window = z.infer<typeof windowSchema>;

/** Event times that a version is chosen from: [start, end), ms since the epoch; null is without bound. */
export const spanSchema = z.strictObject({ startMs: z.int().nullable(), endMs: z.int().nullable() });
export type Span = z.infer<typeof spanSchema>;

export const datasetNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "expected lower-case letters, digits, dot, dash, underscore; at most 63");

/** A declared selection over a stream. */
export const datasetSchema = z.strictObject({
  name: datasetNameSchema.describe("what the dataset's versions are filed under"),
  select: selectionSchema.prefault({}).describe("which images are chosen"),
  reserve: z
    .int()
    .nonnegative()
    .optional()
    .describe("R: rows a class held beyond K, against retractions; by default K/10, at least 8"),
  window: windowSchema.default({ kind: "global" }).describe("the stretch of event time that is chosen from"),
});
export type Dataset = z.infer<typeof datasetSchema>;

export function reserveOf(dataset: Dataset): number {
  return dataset.reserve ?? Math.max(8, Math.ceil(dataset.select.k / 10));
}

/** Selection without the members that have their default value. */
export function canonicalSelection(selection: Selection): Json {
  const defaults = selectionSchema.parse({});
  const members: Record<string, Json> = { k: selection.k, p: selection.p };
  for (const [name, value] of Object.entries(selection)) {
    if (canonicalJson(value) !== canonicalJson(defaults[name as keyof Selection])) members[name] = value;
  }
  return members;
}

/**
 * Names the state that a dataset's top-K keeps: a checkpoint made under one digest is never used under another.
 * 64 hexadecimal digits.
 */
export function parametersDigest(dataset: Dataset, teacher: string, stream: string): string {
  return sha256Hex(
    canonicalJson({
      select: canonicalSelection(dataset.select),
      reserve: reserveOf(dataset),
      window: dataset.window,
      teacher,
      stream,
    }),
  );
}
