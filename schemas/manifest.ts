import { createHash, type Hash } from "node:crypto";
import { z } from "zod";
import { canonicalJson, type Json } from "./canonical.js";
import { driftSchema } from "./drift.js";
import { datasetNameSchema, selectionSchema, spanSchema, type Span } from "./dataset.js";
import { frontierSchema } from "./frontier.js";
import { guardedBySchema } from "./guard.js";
import { labelFrontierSchema } from "./image-label.js";
import { engineInfoSchema } from "./segment.js";

export const MANIFEST_VERSION = 1;

const count = z.int().nonnegative();
/** What every store can keep: segments of these characters, none of them empty, "." or ".." */
const objectKey = z.string().regex(/^(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9._=-]+(\/[A-Za-z0-9._=-]+)*$/);
const sha256Text = z.string().regex(/^[0-9a-f]{64}$/);

export const manifestSchema = z.strictObject({
  schemaVersion: z.literal(MANIFEST_VERSION),
  dataset: datasetNameSchema,
  number: z.int().positive(),
  /** What this version is: see `VersionIdHash`. Everything below `provenance` is outside it. */
  id: sha256Text,
  select: selectionSchema,
  /** Event times that the rows were chosen from */
  span: spanSchema,
  /** The evaluation sets whose images were kept out */
  guard: guardedBySchema.optional(),
  /** What people say only takes images out; absent: images that are said to be of a class stand in it */
  labels: z.literal("retract").optional(),
  teacher: z.strictObject({
    digest: sha256Text,
    name: z.string(),
    labels: z.array(z.string()),
    /** the card's */
    temperature: z.number().positive(),
  }),
  classes: z.array(
    z.strictObject({
      class: count,
      label: z.string(),
      /** K of this class */
      k: z.int().positive(),
      count,
      /** The first so many rows are there because somebody said so; absent: none */
      labelled: count.optional(),
      /** rows of `count` that repeat earlier ones */
      repeated: count,
      /** probability of the first and the last row that the teacher chose; null without such rows */
      best: z.number().nullable(),
      worst: z.number().nullable(),
      /** Fewer than K rows, repeats not counted */
      starving: z.boolean(),
      /** Images that would have stood here: near duplicates of better ones, and images of guarded sets. Listed in the version's left-out.jsonl */
      near: count.optional(),
      guarded: count.optional(),
    }),
  ),
  totals: z.strictObject({
    rows: count,
    images: count,
    /** rows whose image bytes are not in the version, because nothing kept them */
    bytesAbsent: count,
    /** over the frontier: in = scored + copied + quarantined + lost */
    records: z.strictObject({ in: count, scored: count, copied: count, quarantined: count, lost: count }),
  }),
  files: z.array(z.strictObject({ key: objectKey, sizeBytes: count, sha256: sha256Text, rows: count.nullable() })),
  provenance: z.strictObject({
    parent: z.strictObject({ number: z.int().positive(), id: sha256Text }).nullable(),
    stream: z.string(),
    frontier: frontierSchema,
    /** Up to where people's labels were heeded; none before there were any */
    labels: labelFrontierSchema.default([]),
    /** Ranges below the frontier that were declared lost before the cut, by their declarations' numbers */
    lost: z
      .array(
        z.strictObject({
          number: count,
          partition: count,
          origin: count,
          start: count,
          end: count,
          reason: z.string(),
        }),
      )
      .default([]),
    /** Up to where scores of other teachers were heeded, where the selection asks for them */
    scores: z.array(z.strictObject({ teacher: sha256Text, frontier: frontierSchema })).optional(),
    /** Where the dataset asks for it and there is a version before: how what came since differs */
    drift: driftSchema.optional(),
    /** Times that the cut read the archive for deeper lists than states keep: bytes of such rows may be absent */
    readDeeper: count.optional(),
    /** engines seen in the segments read */
    engines: z.array(engineInfoSchema),
    /** The cut read past a gap or a corrupt segment on request */
    incomplete: z.boolean(),
    codeVersion: z.string(),
    /** ISO 8601, UTC */
    createdAt: z.string(),
    commitId: z.string(),
    trigger: z.string(),
  }),
});
export type Manifest = z.infer<typeof manifestSchema>;
/** The version's classes: the teacher's labels, or those of the selection's label map. */
export function versionLabels({ classes }: Pick<Manifest, "classes">): string[] {
  return classes.map(({ label }) => label);
}

/** `1000`, or `10 to 500` where the classes' K differ. */
export function kText(k: ArrayLike<number>): string {
  const each = Array.from(k).sort((a, b) => a - b);
  const least = each[0] ?? 0;
  const most = each.at(-1) ?? 0;
  return least === most ? String(most) : `${least} to ${most}`;
}

const BY_LABEL = 0x8000_0000;
/** The bits of a quiet NaN */
const NO_KEY = 0x7ff8_0000_0000_0000n;

export type ManifestFile = Manifest["files"][number];

/**
 * The version's id: SHA-256 over one line of canonical JSON {schema, select, span, teacher} and, where sets are guarded, their digest as {guard}, {labels: "retract"} where that is set, the classes in it by number, and then, for every row
 * in the order (class, rank), 48 bytes: class u32, rank u32 (from 1), image digest 32 bytes, rank key f64; all little-endian. Of a row by a label the
 * class has its highest bit set, and the rank key is NaN where the teacher archived none.
 * Rows must come in that order.
 */
export class VersionIdHash {
  readonly #hash: Hash;
  readonly #row = new Uint8Array(48);
  readonly #view = new DataView(this.#row.buffer);

  /** `numbered`: the selection as `numberedSelection` gives it */
  constructor(parameters: {
    numbered: Json;
    span: Span;
    teacher: string;
    guard?: string | undefined;
    labels?: "retract" | undefined;
  }) {
    const { numbered, span, teacher, guard, labels } = parameters;
    this.#hash = createHash("sha256");
    const guarded = { ...(guard === undefined ? {} : { guard }), ...(labels === undefined ? {} : { labels }) };
    this.#hash.update(canonicalJson({ schema: 1, select: numbered, span, teacher, ...guarded }) + "\n");
  }

  /** `digest` is 32 bytes. */
  row(
    classIndex: number,
    rank: number,
    digest: Uint8Array,
    key: number | null,
    by: "teacher" | "label" = "teacher",
  ): void {
    this.#view.setUint32(0, by === "label" ? (classIndex | BY_LABEL) >>> 0 : classIndex, true);
    this.#view.setUint32(4, rank, true);
    this.#row.set(digest, 8);
    if (key === null || Number.isNaN(key)) this.#view.setBigUint64(40, NO_KEY, true);
    else this.#view.setFloat64(40, key, true);
    this.#hash.update(this.#row);
  }

  /** 64 hexadecimal digits; ends the computation */
  digest(): string {
    return this.#hash.digest("hex");
  }
}
