import { basename } from "node:path";
import { describeWeights } from "../connectors/engine/teacher/weights-digest.js";
import { loadTeacher, writeCard } from "../connectors/engine/teacher/teacher-files.js";
import type { Architecture, Preparation, TrainableModel, Trainer } from "../connectors/trainer/trainer.js";
import {
  evaluatePredictions,
  predictedClasses,
  tailRecall,
  type Evaluation,
} from "../operators/training/evaluation.js";
import { fit, type FitOptions, type Schedule } from "../operators/training/fit.js";
import { SluiceError } from "../schemas/errors.js";
import type { LabelledPixels } from "../schemas/labelled-pixels.js";
import { modelCardSchema, type ModelCard } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import {
  BASELINE_SCHEDULE,
  FINE_TUNE_SCHEDULE,
  LABELLED_SCHEDULE,
  networkFor,
  PRETRAIN_SCHEDULE,
  studentFor,
} from "./training/train-defaults.js";

/** The counts of a progress event while nothing goes through a teacher. */
export const NOTHING_SCORED = { scored: 0, copied: 0, kept: 0, quarantined: 0 } as const;

export interface TrainOptions {
  /** Weights, order and movements of the images: the same seed gives the same model on the same machine and backend */
  readonly seed: number;
  readonly schedule?: Partial<Schedule> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** `done` and `total` are training steps */
  readonly onProgress?: OnProgress | undefined;
  /** Where the last sound weights go, as a model with its card, where the loss runs away; absent: they are lost */
  readonly lastGood?: string | undefined;
  /** Where a phase that was interrupted goes on, and where it is set down */
  readonly checkpoints?: PhaseCheckpoints | undefined;
  /** Each step's loss */
  readonly onLoss?: ((phase: string, step: number, loss: number) => void) | undefined;
  /** Something that a person should know, such as a learning rate that was too high */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** What of one phase is kept, so that it can be gone on with. */
export type PhaseCheckpoints = Pick<FitOptions, "resume" | "onCheckpoint">;

export interface NewModelOptions extends TrainOptions {
  readonly trainer: Trainer;
  readonly preparation: Preparation;
  readonly architecture?: Architecture | undefined;
}

/** labels -> teacher. Throws E_TRAIN_DATA, E_TRAIN_DIVERGED, E_CANCELLED, as all below. */
export async function trainTeacher(
  options: NewModelOptions & { readonly labelled: LabelledPixels },
): Promise<TrainableModel> {
  return trainNew(options, "train teacher", options.labelled, networkFor, LABELLED_SCHEDULE);
}

/** version -> student. */
export async function pretrainStudent(
  options: NewModelOptions & { readonly version: LabelledPixels },
): Promise<TrainableModel> {
  return trainNew(options, "pre-train student", options.version, studentFor, PRETRAIN_SCHEDULE);
}

/** labels -> the student as it is without any version: what a version is measured against. */
export async function trainBaseline(
  options: NewModelOptions & { readonly labelled: LabelledPixels },
): Promise<TrainableModel> {
  return trainNew(options, "train baseline", options.labelled, studentFor, BASELINE_SCHEDULE);
}

/** student + labels -> a new, fine-tuned student; the given one stays as it is. Classes are balanced unless the schedule says otherwise. */
export async function fineTune(
  options: TrainOptions & { readonly model: TrainableModel; readonly labelled: LabelledPixels },
): Promise<TrainableModel> {
  const tuned = await options.model.copy();
  return fitOrDispose(tuned, options, "fine-tune student", options.labelled, FINE_TUNE_SCHEDULE);
}

export interface ModelEvaluation extends Evaluation {
  /** Mean recall of the rarer half of the classes; null without training counts */
  readonly tailRecall: number | null;
}

/** `trainingCounts`: labelled images a class, [C]; they say which classes are the tail. */
export async function evaluate(options: {
  readonly model: TrainableModel;
  readonly test: LabelledPixels;
  readonly trainingCounts?: ArrayLike<number> | undefined;
}): Promise<ModelEvaluation> {
  const { model, test, trainingCounts } = options;
  const classes = model.preparation.labels.length;
  if (test.count === 0) throw new SluiceError("E_TRAIN_DATA", "Expected labelled images to test with, found none.");
  const predicted = predictedClasses(await model.logits(test), classes);
  const evaluation = evaluatePredictions(predicted, test.labels, classes);
  return { ...evaluation, tailRecall: trainingCounts === undefined ? null : tailRecall(evaluation, trainingCounts) };
}

/** Writes the model and then its card into `folder`: what `ingest --teacher <folder>` reads. */
export async function saveModel(model: TrainableModel, folder: string, name: string): Promise<ModelCard> {
  const { format, files } = await model.save(folder);
  const { input, resize, normalise, labels } = model.preparation;
  const card = modelCardSchema.parse({
    schemaVersion: 1,
    name,
    format,
    weights: await describeWeights(folder, files),
    input,
    resize,
    normalise,
    output: { kind: "logits" },
    labels,
  });
  await writeCard(folder, card);
  return card;
}

/** Beside a model's own folder: a training that ran away must not replace the model that is there. */
export function lastGoodOf(out: string): string {
  return `${out}-last-good`;
}

/** A saved model, to be trained further or evaluated. Throws E_TEACHER_CARD, E_TEACHER_WEIGHTS, E_ENGINE_LOAD. */
export async function loadModel(trainer: Trainer, path: string): Promise<TrainableModel> {
  const { card, folder } = await loadTeacher(path);
  return trainer.load(card, folder);
}

async function trainNew(
  options: NewModelOptions,
  phase: string,
  examples: LabelledPixels,
  defaultFor: (input: ModelCard["input"]) => Architecture,
  schedule: Schedule,
): Promise<TrainableModel> {
  const { trainer, preparation, seed } = options;
  const model = await trainer.create(options.architecture ?? defaultFor(preparation.input), preparation, seed);
  return fitOrDispose(model, options, phase, examples, schedule);
}

async function fitOrDispose(
  model: TrainableModel,
  options: TrainOptions,
  phase: string,
  examples: LabelledPixels,
  defaults: Schedule,
): Promise<TrainableModel> {
  const { seed, signal, onProgress, onLoss, lastGood, onNote } = options;
  const schedule = { ...defaults, ...options.schedule };
  try {
    await fit({
      model,
      examples,
      schedule,
      seed,
      signal,
      ...options.checkpoints,
      onLowerRate: (rate) =>
        onNote?.(
          `${phase}: the loss ran away in a trial with learning rate ${schedule.learningRate}; trained with ${rate}.`,
        ),
      keepLastGood:
        lastGood === undefined
          ? undefined
          : async (sound) => {
              await saveModel(sound, lastGood, basename(lastGood));
              return lastGood;
            },
      onStep: ({ step, steps, loss, accuracy }) => {
        onLoss?.(phase, step, loss);
        const right = accuracy === null ? {} : { accuracy };
        onProgress?.({ ...NOTHING_SCORED, phase, done: step, total: steps, loss, ...right });
      },
    });
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
