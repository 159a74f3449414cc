import { z } from "zod";
import { canonicalJson, sha256Hex, type Json } from "./canonical.js";
import { datasetNameSchema } from "./dataset.js";
import { SluiceError } from "./errors.js";
import { modelCardSchema } from "./model-card.js";
import { openSealedJson, sealJson } from "./sealed-json.js";

/** The file that makes a folder a trained model: it is written last. */
export const TRAINING_FILE = "training.json";
/** A line a step: `{"phase": …, "step": …, "loss": …}` */
export const CURVES_FILE = "curves.jsonl";
export const TRAINING_LOG_FILE = "training.log";

const count = z.int().nonnegative();
const share = z.number().min(0).max(1);
const sha256Text = z.string().regex(/^[0-9a-f]{64}$/);
const json: z.ZodType<Json> = z.json();

/** Everything that decides what a trained model is. A version's number, paths, names and times do not. */
export const trainingInputsSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** What trains: library, version and backend; or a command, and the digests of the files that it names */
  trainer: z.record(z.string(), json),
  /** null: on labelled images alone */
  version: z.strictObject({ dataset: datasetNameSchema, id: sha256Text, teacher: sha256Text }).nullable(),
  labelled: sha256Text,
  labels: z.array(z.string()).min(2),
  input: modelCardSchema.shape.input,
  resize: modelCardSchema.shape.resize,
  /** The trainer's own */
  configuration: z.record(z.string(), json),
  seed: count,
});
export type TrainingInputs = z.infer<typeof trainingInputsSchema>;

/** What names a training: the digest of its inputs. */
export function trainingDigest(inputs: TrainingInputs): string {
  return sha256Hex(canonicalJson(inputs));
}

export const trainingRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** `trainingDigest` of `inputs` */
  digest: sha256Text,
  inputs: trainingInputsSchema,
  /** The teacher's digest that the model has */
  model: sha256Text,
  name: z.string(),
  /** The version's number: where it lies, beside what it is */
  versionNumber: z.int().positive().nullable(),
  /** Labelled images a class, [C], and those of the version that were read */
  labelledCounts: z.array(count),
  versionImages: count,
  /** ISO 8601, UTC */
  trainedAt: z.string(),
  tookMs: z.number().nonnegative(),
  /** What the trainer says of itself, such as its last losses */
  told: z.record(z.string(), json),
});
export type TrainingRecord = z.infer<typeof trainingRecordSchema>;

/** How a model does on test images; shares are in [0, 1]. */
export const modelMetricsSchema = z.strictObject({
  count: z.int().positive(),
  accuracy: share,
  /** Wilson's interval of the accuracy */
  interval: z.strictObject({ low: share, high: share, confidence: share }),
  meanRecall: share,
  /** Of the rarer half of the classes, by labelled images; null where their numbers are not known */
  tailRecall: share.nullable(),
  recall: z.array(share.nullable()),
  /** Images of class `row` taken for class `column` */
  confusion: z.array(z.array(count)),
  /** Mean negative log-likelihood, nats, and expected calibration error over 15 bins, at the card's temperature */
  nll: z.number(),
  ece: share,
});
export type ModelMetrics = z.infer<typeof modelMetricsSchema>;

const evaluatedModelSchema = z.strictObject({ digest: sha256Text, name: z.string(), metrics: modelMetricsSchema });

export const evaluationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  labels: z.array(z.string()),
  /** The test images that all models could be judged by */
  test: z.strictObject({ digest: sha256Text, images: z.int().positive(), skipped: count }),
  model: evaluatedModelSchema,
  /** null: compared with nothing */
  teacher: evaluatedModelSchema.nullable(),
  comparison: z
    .strictObject({
      count: z.int().positive(),
      gained: count,
      lost: count,
      difference: z.number(),
      interval: z.strictObject({ low: z.number(), high: z.number(), confidence: share }),
      p: share,
    })
    .nullable(),
  rule: z.strictObject({ confidence: share, mostClassDrop: share }),
  /** null: compared with nothing */
  verdict: z.strictObject({ passes: z.boolean(), reasons: z.array(z.string()) }).nullable(),
  /** ISO 8601, UTC */
  evaluatedAt: z.string(),
});
export type EvaluationRecord = z.infer<typeof evaluationSchema>;

/** Sealed, as everything in the store that is JSON. */
export function encodeRecord(record: TrainingRecord | EvaluationRecord): Uint8Array {
  return sealJson(record, 2);
}

/** Throws E_STORE_CORRUPT, naming `key`. */
export function decodeRecord<T>(schema: z.ZodType<T>, bytes: Uint8Array, key: string): T {
  try {
    return schema.parse(openSealedJson(bytes));
  } catch (cause) {
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected the record of a model at ${key}, found something else. Restore it from a copy.`,
      { cause, key },
    );
  }
}
