import { z } from "zod";
import { datasetNameSchema } from "./dataset.js";
import { SluiceError } from "./errors.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const told = { schemaVersion: z.literal(1), at: z.string() };

/** What each step of a generation has come to: a row of objects, each created only if absent. */
export const LOOP_STEPS = {
  /** What is trained on, and the teacher that chose it */
  version: z.strictObject({
    ...told,
    dataset: datasetNameSchema,
    number: z.int().positive(),
    id: digest,
    teacher: digest,
  }),
  /** The training's digest, and the model's */
  model: z.strictObject({ ...told, training: digest, model: digest, name: z.string() }),
  verdict: z.strictObject({
    ...told,
    passes: z.boolean(),
    reasons: z.array(z.string()),
    accuracy: z.number(),
    teacherAccuracy: z.number(),
    low: z.number(),
    high: z.number(),
    p: z.number(),
  }),
  /** The teacher that stands after it */
  outcome: z.strictObject({ ...told, promoted: z.boolean(), teacher: digest }),
} as const;

export type LoopStepName = keyof typeof LOOP_STEPS;
export type LoopStep<Name extends LoopStepName> = Omit<z.infer<(typeof LOOP_STEPS)[Name]>, "schemaVersion">;

export function encodeLoopStep<Name extends LoopStepName>(step: LoopStep<Name>): Uint8Array {
  return sealJson({ schemaVersion: 1, ...step }, 2);
}

/** Throws E_STORE_CORRUPT. */
export function decodeLoopStep<Name extends LoopStepName>(name: Name, bytes: Uint8Array, key: string): LoopStep<Name> {
  try {
    return LOOP_STEPS[name].parse(openSealedJson(bytes)) as unknown as LoopStep<Name>;
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a step of a loop at ${key}, found something else. Restore the object from a copy.`,
      { cause, key },
    );
  }
}
