import { z } from "zod";
import { canonicalJson, sha256Hex, type Json } from "./canonical.js";
import type { Selection } from "./dataset.js";
import { modelMetricsSchema } from "./model-record.js";

/** How long and how a model is trained; see `Schedule` of operators/training/fit.ts. */
type Settings = object;

/** How one model of a study comes to be: everything but seed and data. Recipes that are equal make one model. */
export type ModelRecipe =
  /** On the labelled images alone: a teacher, or the student that has seen no version */
  | {
      readonly kind: "labelled";
      readonly architecture: Settings;
      readonly schedule: Settings;
      readonly salt?: number;
    }
  /** A model that the caller has, by its digest */
  | { readonly kind: "given"; readonly model: string }
  /** On a version */
  | {
      readonly kind: "pre-trained";
      readonly architecture: Settings;
      readonly schedule: Settings;
      readonly version: VersionRecipe;
      /** Share of the labelled images in what it is trained on, (0, 1); absent: none are */
      readonly mix?: number;
      /** Towards the teacher's probabilities at this temperature; absent: towards the class that an image was chosen for */
      readonly soften?: number;
      readonly salt?: number;
    }
  /** Another one, trained on with the labelled images */
  | { readonly kind: "fine-tuned"; readonly from: ModelRecipe; readonly schedule: Settings };

/** What a version of a study is chosen from, and how. */
export interface VersionRecipe {
  readonly teacher: ModelRecipe;
  /** Of the unlabelled images, (0, 1]: every so many of them */
  readonly share: number;
  readonly select: Selection;
}

/** One model under one seed, as the results are filed. */
export interface ArmInputs {
  readonly recipe: ModelRecipe;
  readonly seed: number;
  /** Digests of the labelled, unlabelled and test images */
  readonly labelled: string;
  readonly unlabelled: string;
  readonly test: string;
  /** What trains: library, version and backend */
  readonly trainer: Readonly<Record<string, string>>;
  /** What all models see */
  readonly input: Settings;
  readonly resize: Settings;
}

/** What names an arm: whatever else is the same, it is the same arm, in whichever study. */
export function armDigest(inputs: ArmInputs): string {
  return sha256Hex(canonicalJson({ schemaVersion: 1, ...inputs } as unknown as Json));
}

const sha256Text = z.string().regex(/^[0-9a-f]{64}$/);

export const armResultSchema = z.strictObject({
  schemaVersion: z.literal(1),
  digest: sha256Text,
  seed: z.int().nonnegative(),
  model: sha256Text,
  metrics: modelMetricsSchema,
  /** What it was pre-trained on; null: on labelled images alone */
  version: z
    .strictObject({
      id: sha256Text,
      rows: z.int().nonnegative(),
      starving: z.int().nonnegative(),
      /** Least probability of a row; null: none has any */
      cutOff: z.number().nullable(),
    })
    .nullable(),
  /** ms, what was not there yet included */
  tookMs: z.number().nonnegative(),
  /** ISO 8601, UTC */
  at: z.string(),
});
export type ArmResult = z.infer<typeof armResultSchema>;
