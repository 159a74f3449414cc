import { z } from "zod";
import { selectionSchema, windowSchema } from "../dataset.js";
import { count, pendingSchema, rowSchema, sha256Text } from "./shared.js";

/** What is served, as the page's frame shows it. */
export const overviewSchema = z.strictObject({
  place: z.string(),
  folder: z.string(),
  stream: z.string(),
  codeVersion: z.string(),
  /** Whether labels are refused */
  readOnly: z.boolean(),
  /** Whose name stands on what is said here, unless the page gives another */
  author: z.string(),
  kafka: z.string().nullable(),
  teacher: z.strictObject({ name: z.string(), digest: sha256Text }).nullable(),
  datasets: z
    .array(
      z.strictObject({
        name: z.string(),
        /** null: it has versions, and is not declared any more */
        select: selectionSchema.nullable(),
        window: windowSchema.nullable(),
        versions: z.array(z.int().positive()).readonly(),
        newest: z.strictObject({ number: z.int().positive(), id: sha256Text, createdAt: z.string() }).nullable(),
      }),
    )
    .readonly(),
});
export type Overview = z.infer<typeof overviewSchema>;

/** As `sluice versions list --json`. */
export const versionListSchema = z.strictObject({
  damaged: z.array(z.strictObject({ code: z.string(), message: z.string(), key: z.unknown() })).readonly(),
  versions: z
    .array(
      z.strictObject({
        dataset: z.string(),
        number: z.int().positive(),
        id: sha256Text,
        rows: count,
        images: count,
        createdAt: z.string(),
        trigger: z.string(),
        incomplete: z.boolean(),
      }),
    )
    .readonly(),
});
export type VersionList = z.infer<typeof versionListSchema>;

/** As `sluice versions tags --json`. */
export const tagListSchema = z.strictObject({
  dataset: z.string(),
  tags: z.array(z.looseObject({ tag: z.string(), number: z.int().positive(), atMs: z.number() })).readonly(),
});
export type TagList = z.infer<typeof tagListSchema>;

/** A class of a version, beside what it was in the version before. */
export const versionClassSchema = z.strictObject({
  class: count,
  label: z.string(),
  k: z.int().positive(),
  count,
  repeated: count,
  best: z.number().nullable(),
  worst: z.number().nullable(),
  starving: z.boolean(),
  /** Of the parent: its rows and the probability of its last one; null without a parent, or where it has no such class */
  countBefore: count.nullable(),
  worstBefore: z.number().nullable(),
  /**
   * Of the images that came since the parent, and of those before: how many have it as their best class. Without a parent to compare with, of all
   * that came, and null. null where that is not known
   */
  share: z.number().nullable(),
  shareBefore: z.number().nullable(),
  /** The same of consecutive parts of the stream up to the version's frontier, the oldest first; null of those of which nothing is known */
  shares: z.array(z.number().nullable()).readonly().nullable(),
});
export type VersionClass = z.infer<typeof versionClassSchema>;

export const CLASS_ORDERS = ["starving", "number", "label", "cutoff", "change", "drift"] as const;

export const classPageSchema = z.strictObject({
  dataset: z.string(),
  number: z.int().positive(),
  id: sha256Text,
  parent: z.int().positive().nullable(),
  /** Classes that the search found, and in all */
  found: count,
  classes: count,
  full: count,
  /** What the shares are of; null where there is nothing to compare, or it is being read */
  drift: z.strictObject({ rowsNow: count, rowsBefore: count, isWhole: z.boolean() }).nullable(),
  /** The shares are being read at the moment */
  pending: pendingSchema.nullable(),
  rows: z.array(versionClassSchema).readonly(),
});
export type ClassPage = z.infer<typeof classPageSchema>;

export const classRowsSchema = z.strictObject({
  dataset: z.string(),
  number: z.int().positive(),
  class: count,
  label: z.string(),
  total: count,
  rows: z.array(rowSchema).readonly(),
});
export type ClassRows = z.infer<typeof classRowsSchema>;

/** Why a row came or went. */
export const REASONS = ["new", "label", "room", "pushed-out", "parameters", "teacher", "rank"] as const;
export type Reason = (typeof REASONS)[number];

/** The same as a diff tells them: an erasure is a label, too, and what stands for it elsewhere is a matter of parameters. */
export const DIFF_REASONS = [...REASONS, "erased", "duplicate", "guard"] as const;
export type DiffReason = (typeof DIFF_REASONS)[number];
const reasonCounts = z.array(z.strictObject({ reason: z.enum(DIFF_REASONS), count })).readonly();
export type ReasonCounts = z.infer<typeof reasonCounts>;

const changed = z.strictObject({ name: z.string(), before: z.string(), after: z.string() });
const versionName = z.strictObject({ number: z.int().positive(), id: sha256Text });

/** As `sluice versions diff --json`. */
export const diffSchema = z.strictObject({
  before: versionName,
  after: versionName,
  same: z.boolean(),
  parameters: z.array(changed).readonly(),
  classes: z
    .array(
      z.strictObject({
        class: count.nullable(),
        classBefore: count.nullable(),
        label: z.string(),
        labelBefore: z.string(),
        rowsBefore: count,
        rowsAfter: count,
        added: count,
        removed: count,
        moved: count,
        cutoffBefore: z.number().nullable(),
        cutoffAfter: z.number().nullable(),
        /** Why its rows entered, left and moved: how many for each reason, the most frequent first */
        reasons: z.strictObject({ entered: reasonCounts, left: reasonCounts, moved: reasonCounts }),
      }),
    )
    .readonly(),
  totals: z.strictObject({ added: count, removed: count, moved: count, kept: count }),
});
export type Diff = z.infer<typeof diffSchema>;

/** A row that entered, left or moved, with its reason in words. */
export const changedRowSchema = z.strictObject({
  row: rowSchema,
  /** Its rank in the other version, where it is in both */
  rankBefore: z.int().positive().nullable(),
  reason: z.enum(REASONS),
  because: z.string(),
});
export type ChangedRow = z.infer<typeof changedRowSchema>;

const side = z.strictObject({
  total: count,
  /** Those of the reason that was asked for, which `from` counts; without one all */
  shown: count,
  reasons: z.array(z.strictObject({ reason: z.enum(REASONS), count })).readonly(),
  rows: z.array(changedRowSchema).readonly(),
});

export const classDiffSchema = z.strictObject({
  label: z.string(),
  entered: side,
  left: side,
  moved: side,
});
export type ClassDiffRows = z.infer<typeof classDiffSchema>;

export const verifySchema = z.strictObject({
  ok: z.boolean(),
  findingCount: count,
  findings: z.array(z.strictObject({ message: z.string() })).readonly(),
  checked: z.strictObject({ files: count, rows: count, images: count }),
});
export type Verified = z.infer<typeof verifySchema>;
