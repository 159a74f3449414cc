import { z } from "zod";
import { cardCheckSchema } from "../model-card.js";
import { authorText, count, pendingSchema, precisionSchema, sha256Text } from "./shared.js";

const share = z.number().min(0).max(1);
const intervalSchema = z.strictObject({ low: z.number(), high: z.number() });

/** How a model did on test images */
const measuredSchema = z.strictObject({
  digest: sha256Text,
  name: z.string(),
  accuracy: share,
  /** Of the accuracy, at the evaluation's confidence */
  interval: intervalSchema,
  meanRecall: share,
  tailRecall: share.nullable(),
});

/** The newest evaluation of a model, as `sluice teacher list --json` has it: no confusion matrix, but its greatest cells. */
const evaluatedSchema = z.strictObject({
  evaluatedAt: z.string(),
  images: count,
  confidence: share,
  model: measuredSchema,
  /** What it was compared with on the same images; null: nothing */
  teacher: measuredSchema.nullable(),
  difference: z.strictObject({ value: z.number(), interval: intervalSchema, p: share }).nullable(),
  verdict: z.strictObject({ passes: z.boolean(), reasons: z.array(z.string()).readonly() }).nullable(),
  /** Classes whose images it took for another class, the most first */
  confused: z.array(z.strictObject({ label: z.string(), taken: z.string(), count, of: count })).readonly(),
});
export type ListedEvaluation = z.infer<typeof evaluatedSchema>;

/** A teacher that has scored into the store, or a model that lies there. */
const teacherSchema = z.strictObject({
  digest: sha256Text,
  name: z.string(),
  /** It is the one that commands take */
  isDeclared: z.boolean(),
  /** `stands`, is `next` to stand, stood `former`ly, or has only `scored`; or only lies in the `store` */
  state: z.enum(["stands", "next", "former", "scored", "store"]),
  /** The model can be fetched from the store */
  isStored: z.boolean(),
  /** What it was trained from; null where that is not known. `version` null: labelled images alone */
  training: z
    .strictObject({
      version: z
        .strictObject({ dataset: z.string(), number: z.int().positive().nullable(), teacher: sha256Text })
        .nullable(),
      versionImages: count,
      labelled: count,
      trainedAt: z.string(),
    })
    .nullable(),
  evaluation: evaluatedSchema.nullable(),
  /** How often each way to read it was right on labelled images when it was taken up; null: nobody tried */
  checked: cardCheckSchema.nullable(),
  format: z.string(),
  weights: z.strictObject({ sha256: sha256Text, files: count, sizeBytes: count }),
  input: z.strictObject({ width: count, height: count, colour: z.string() }),
  output: z.string(),
  temperature: z.number().positive(),
  classes: count,
  /** How often its classes were called something else */
  renamed: count,
  /** What it has scored; `watermarkMs`: the greatest event time */
  streams: z.array(z.strictObject({ stream: z.string(), archived: count, watermarkMs: z.int().nullable() })).readonly(),
  versions: z
    .array(
      z.strictObject({
        dataset: z.string(),
        number: z.int().positive(),
        id: sha256Text,
        rows: count,
        createdAt: z.string(),
        parent: z.int().positive().nullable(),
      }),
    )
    .readonly(),
  /** How right people found its newest versions, as far as they have judged their audits */
  audits: z
    .array(z.strictObject({ dataset: z.string(), number: z.int().positive(), precision: precisionSchema }))
    .readonly(),
});
export type ListedTeacher = z.infer<typeof teacherSchema>;

/** A round of `sluice loop`: what was trained on, and what came of it. */
const generationSchema = z.strictObject({
  dataset: z.string(),
  number: z.int().positive(),
  version: z.int().positive(),
  model: sha256Text,
  name: z.string(),
  accuracy: z.number(),
  teacherAccuracy: z.number(),
  /** Of the difference */
  low: z.number(),
  high: z.number(),
  passes: z.boolean(),
  promoted: z.boolean(),
  at: z.string(),
});
export type ListedGeneration = z.infer<typeof generationSchema>;

export const teacherListSchema = z.strictObject({
  teachers: z.array(teacherSchema).readonly(),
  generations: z.array(generationSchema).readonly(),
});
export type TeacherList = z.infer<typeof teacherListSchema>;

/** What stood when somebody asked for a change of teacher: where another one does by now, the answer is 409. */
export const teacherChangeBody = z.strictObject({
  by: authorText.optional().describe("who asks; by default the server's author"),
  seen: sha256Text.optional().describe("digest of the teacher that stood when it was asked"),
});
export const teacherChangeSchema = z.strictObject({
  stands: sha256Text.nullable(),
  /** Is to stand once those who score have scored the log with it */
  next: sha256Text.nullable(),
  /** Folder on the server's machine where the model was fetched to; null where none was */
  path: z.string().nullable(),
});
export type TeacherChange = z.infer<typeof teacherChangeSchema>;

const changedImages = z.array(z.strictObject({ sha256: sha256Text, probability: share, other: z.string() })).readonly();

/** As `sluice teacher compare --json`, the classes that changed most first, with images. */
export const teacherComparisonSchema = z.strictObject({
  stream: z.string(),
  /** The one that stands, and the other */
  first: z.strictObject({ digest: sha256Text, name: z.string() }),
  second: z.strictObject({ digest: sha256Text, name: z.string() }),
  /** Records that both have scored, and of these those of one best class */
  both: count,
  same: count,
  /** Classes in which any differs */
  changed: count,
  classes: z
    .array(
      z.strictObject({
        class: count,
        label: z.string(),
        first: count,
        second: count,
        both: count,
        /** That only the second takes for it, and only the first, the surest; `other`: what the other one says */
        came: changedImages,
        went: changedImages,
      }),
    )
    .readonly(),
  pending: pendingSchema.nullable(),
});
export type TeacherCompared = z.infer<typeof teacherComparisonSchema>;
