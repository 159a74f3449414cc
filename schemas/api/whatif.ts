import { z } from "zod";
import { selectionSchema } from "../dataset.js";
import { leftOutSchema } from "../left-out.js";
import { count, numberText, pendingSchema, rowSchema, sha256Text } from "./shared.js";

/** What differs from the declared selection. */
export const settingQuery = {
  k: numberText(
    z
      .int()
      .positive()
      .max(2 ** 29),
  )
    .optional()
    .describe("images a class; by default the declared"),
  p: numberText(
    z
      .int()
      .positive()
      .max(2 ** 29),
  )
    .optional()
    .describe("classes that an image stands for; by default the declared"),
  temperature: numberText(z.number().positive()).optional().describe("divides the logits; by default the declared"),
  floor: numberText(z.number().min(0).lt(1)).optional().describe("least probability of a row; by default the declared"),
};

/** As an answer of `sluice whatif --json`, and how far it can be trusted. */
export const answerSchema = z.strictObject({
  k: selectionSchema.shape.k.unwrap(),
  p: z.int().positive(),
  temperature: z.number().positive(),
  rows: count,
  /** null where only a version's manifest is known */
  images: count.nullable(),
  classes: count,
  full: count,
  starving: z.array(z.strictObject({ label: z.string(), rows: count })).readonly(),
  cutoff: z.strictObject({ lowest: z.number(), median: z.number() }).nullable(),
  overlap: z.number().nullable(),
  from: z.enum(["top-M", "full softmax", "version"]),
  exact: z.boolean(),
  /** What it is exact about, or why it is not */
  why: z.string(),
  /** What the overlap is with */
  newest: z.strictObject({ number: z.int().positive(), id: sha256Text }).nullable(),
});
export type Answer = z.infer<typeof answerSchema>;

/** More than what is held has to be read for another K: `answer` is then the best that is known now. */
export const whatifSchema = z.strictObject({
  answer: answerSchema.nullable(),
  pending: pendingSchema.nullable(),
  /** Why there is no answer; null where there is, or will be */
  refused: z.string().nullable(),
});
export type WhatifAnswered = z.infer<typeof whatifSchema>;

/** What every K up to `exactTo` would give. */
export const curveSchema = z.strictObject({
  curve: z
    .strictObject({
      p: z.int().positive(),
      temperature: z.number().positive(),
      /** The greatest K that is exact without reading more; null: any */
      exactTo: count.nullable(),
      /** The declared K, where it is one number */
      standing: count.nullable(),
      points: z.array(answerSchema.omit({ why: true, newest: true, starving: true, exact: true })).readonly(),
    })
    .nullable(),
  pending: pendingSchema.nullable(),
  refused: z.string().nullable(),
});
export type CurveAnswered = z.infer<typeof curveSchema>;

/** What of a class a wall shows. */
export const wallFilterQuery = {
  source: z.string().max(2000).optional().describe("only images from there: a folder, an archive, a topic"),
  day: z
    .string()
    .regex(/^\d{4}-\d\d-\d\d$/, "expected YYYY-MM-DD")
    .optional()
    .describe("only images of that day, UTC"),
  licence: z.string().max(2000).optional().describe("only images under it; an empty one: those without any"),
  show: z
    .enum(["all", "left-out", "like", "disagree"])
    .default("all")
    .describe(
      "left-out: near duplicates and guarded images; like: images that look the same, together; disagree: those that another teacher takes for another class",
    ),
  other: sha256Text
    .optional()
    .describe("with disagree: which teacher; by default the one that scored most beside ours"),
};

const facetSchema = z.array(z.strictObject({ value: z.string(), count })).readonly();
export const facetsSchema = z.strictObject({
  sources: facetSchema,
  /** YYYY-MM-DD, UTC */
  days: facetSchema,
  /** An empty one: those without */
  licences: facetSchema,
  others: z.array(z.strictObject({ digest: sha256Text, name: z.string() })).readonly(),
});
export type Facets = z.infer<typeof facetsSchema>;

/** A place on a class's wall: a row of the version, or one that the archive ranks and the version has not. */
export const wallRowSchema = z.strictObject({
  /** Place in the ranking as it is now, from 0 */
  place: count,
  /** Rank in the version that is compared with; null: not in it */
  versionRank: z.int().positive().nullable(),
  /** How often something was said of the image */
  seen: count,
  row: rowSchema.omit({ rank: true, shard: true, label: true, class: true }),
  /** Why no version would have it, or the version that is compared with has not: what it is like. null: it would */
  leftOut: leftOutSchema.nullable(),
  /** How many images are left out because they are like it */
  like: count,
  /** With show=like: the place of the best of the images that are like it */
  group: count.nullable(),
  /** With show=disagree: what the other teacher takes it for */
  other: z.strictObject({ label: z.string(), probability: z.number() }).nullable(),
});
export type WallRow = z.infer<typeof wallRowSchema>;

export const wallSchema = z.strictObject({
  dataset: z.string(),
  class: count,
  label: z.string(),
  /** K of the class as declared, or as the version has it */
  k: z.int().positive(),
  /** `archive`: ranked from the archive as it is now, labels heeded; `version`: the version's own rows */
  basis: z.enum(["archive", "version"]),
  /** What is exact, or why the archive could not be ranked */
  why: z.string(),
  /** Images that are ranked, and of those the first K */
  total: count,
  kept: count,
  /** Images that the filter shows, which `from` counts, and those of them that are kept */
  shown: count,
  shownKept: count,
  /** Near duplicates and guarded images, which are not ranked */
  leftOut: count,
  /** What the filter goes by, or cannot tell; null: nothing to say */
  note: z.string().nullable(),
  /** Where the first row that is not kept would stand: probability of the last kept one, and in the version */
  cutoff: z.number().nullable(),
  cutoffBefore: z.number().nullable(),
  version: z.int().positive().nullable(),
  /** Images taken out of the class by what people said */
  retracted: count,
  /** Whether the ranking as of the archive is being read at the moment */
  pending: pendingSchema.nullable(),
  rows: z.array(wallRowSchema).readonly(),
});
export type Wall = z.infer<typeof wallSchema>;
