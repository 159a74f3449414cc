import { counted } from "../../schemas/counted.js";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TrainableModel } from "../../connectors/trainer/trainer.js";
import { SluiceError } from "../../schemas/errors.js";
import { takeRows, type LabelledPixels } from "../../schemas/labelled-pixels.js";
import { channelsOf, pixelBytes } from "../../schemas/pixels.js";
import { augmentInto, type Augmentation } from "./augmentation.js";
import { predictedClasses } from "./evaluation.js";
import { LossWatch } from "./loss-watch.js";
import { learningRateAt } from "./learning-rate.js";
import { classBalancedSampler, shuffledSampler } from "./sampling.js";
import { SeededRandom } from "./seeded-random.js";
import { probeLearningRate } from "./learning-rate-probe.js";

/** How long and how a model is trained. */
export interface Schedule {
  /** Batches in all */
  readonly steps: number;
  /** Images a batch */
  readonly batch: number;
  /** Peak of the learning rate; it climbs for `warmUpSteps`, then comes down on half a cosine */
  readonly learningRate: number;
  readonly warmUpSteps: number;
  /** Pull of the weights towards nothing, a step: learning rate x this */
  readonly weightDecay: number;
  /** Every class as often as any other, however many images it has */
  readonly classBalanced: boolean;
  /** How images are moved each time they are seen; null: not at all */
  readonly augmentation: Augmentation | null;
}

export interface FitStep {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  /** Share of some training images that the model had right when it was looked at last; null before */
  readonly accuracy: number | null;
}

export interface FitOptions {
  readonly model: TrainableModel;
  readonly examples: LabelledPixels;
  readonly schedule: Schedule;
  /** Order of the images and their movements */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: FitStep) => void) | undefined;
  /** The schedule's rate made the loss run away in the first steps, so that a lower one is trained with */
  readonly onLowerRate?: ((rate: number) => void) | undefined;
  /** Where an earlier run of the same training was; absent: it begins */
  readonly resume?: FitCheckpoint | undefined;
  /** Takes where training is, at every twentieth of the steps and at a stop, while the loss is sound */
  readonly onCheckpoint?: ((checkpoint: FitCheckpoint) => Promise<void>) | undefined;
  /** Takes the weights of the last check before the loss ran away, and says where they are; the model is the caller's to dispose */
  readonly keepLastGood?: ((model: TrainableModel) => Promise<string>) | undefined;
}

/** All that a training needs to go on as if it had never stopped, to the bit. */
export interface FitCheckpoint {
  /** Steps that are done */
  readonly step: number;
  /** The learning rate that was found to be sound */
  readonly peak: number;
  readonly loss: LossWatch["state"];
  readonly augmentation: SeededRandom["state"];
  /** `TrainableModel.snapshot` */
  readonly model: Uint8Array;
}

/** Steps that a learning rate is tried for, or a tenth of a short training */
const PROBE_STEPS = 20;
/** How often the weights are set aside, while the loss is sound */
const CHECKS = 20;
/** Training images that are looked at then, to say how many the model has right */
const LOOKED_AT = 256;

/**
 * Trains the model in place, with the schedule's learning rate or, where that makes the loss run away at once, with a lower one.
 * Between two steps everything else gets its turn: progress, a stop request. Throws E_TRAIN_DATA without examples or for
 * a label that the model has no class for, E_TRAIN_DIVERGED, E_CANCELLED. Returns the last loss, and the rate.
 */
export async function fit(options: FitOptions): Promise<{ readonly loss: number; readonly learningRate: number }> {
  const { model, examples, schedule, seed, onStep } = options;
  const { steps, batch } = schedule;
  checkLabels(examples, model.preparation.labels.length);
  const sampler = schedule.classBalanced ? classBalancedSampler : shuffledSampler;
  const nextRows = sampler({ labels: examples.labels, batch, seed });
  const random = new SeededRandom(seed, "augmentation");
  const { resume, onCheckpoint } = options;
  const peak = resume?.peak ?? (await soundRate(options));
  const watch = new LossWatch(model.preparation.labels.length);
  if (resume !== undefined) {
    await model.restore(resume.model);
    watch.restore(resume.loss);
    random.restore(resume.augmentation);
    for (let step = 0; step < resume.step; step++) nextRows();
  }
  const sample = sampleOf(options);
  let loss = NaN;
  let accuracy: number | null = null;
  let lastGood: TrainableModel | null = null;
  const setDown = async (step: number): Promise<void> => {
    const at = { step, peak, loss: watch.state, augmentation: random.state };
    if (onCheckpoint !== undefined) await onCheckpoint({ ...at, model: await model.snapshot() });
  };
  try {
    for (let step = resume?.step ?? 0; step < steps; step++) {
      if (options.signal?.aborted === true && step > 0 && watch.mean <= watch.limit / 2) await setDown(step);
      throwIfStopped(options, step);
      const images = batchOf(options, nextRows(), random);
      const learningRate = learningRateAt({ ...schedule, peak }, step, steps);
      loss = await model.step(images, { learningRate, weightDecay: schedule.weightDecay });
      watch.add(loss);
      if (watch.hasRunAway) throw await diverged(options, { step, loss, peak, limit: watch.limit }, lastGood);
      const isCheck = (step + 1) % Math.ceil(steps / CHECKS) === 0;
      if (isCheck && onStep !== undefined) accuracy = await accuracyOn(model, sample);
      onStep?.({ step: step + 1, steps, loss, accuracy });
      if (isCheck && watch.mean <= watch.limit / 2) {
        if (options.keepLastGood !== undefined) {
          lastGood?.dispose();
          lastGood = await model.copy();
        }
        await setDown(step + 1);
      }
      await nextTurn();
    }
  } finally {
    lastGood?.dispose();
  }
  return { loss, learningRate: peak };
}

/** The schedule's rate, or a lower one that the loss bears. Throws E_TRAIN_DIVERGED where it bears none. */
async function soundRate(options: FitOptions): Promise<number> {
  const { model, examples, schedule, seed, onLowerRate } = options;
  const nextRows = shuffledSampler({ labels: examples.labels, batch: schedule.batch, seed });
  const random = new SeededRandom(seed, "learning rate probe");
  const rate = await probeLearningRate({
    model,
    nextBatch: () => batchOf(options, nextRows(), random),
    steps: Math.min(PROBE_STEPS, Math.ceil(schedule.steps / 10)),
    learningRate: schedule.learningRate,
    weightDecay: schedule.weightDecay,
    beforeStep: async () => {
      throwIfStopped(options, 0);
      await nextTurn();
    },
  });
  if (rate === null) {
    throw new SluiceError(
      "E_TRAIN_DIVERGED",
      `Expected a loss that falls, found one that runs away with every learning rate from ${schedule.learningRate} down to a thousandth of it. Look at the images: are they of one size and kind?`,
      { learningRate: schedule.learningRate },
    );
  }
  if (rate < schedule.learningRate) onLowerRate?.(rate);
  return rate;
}

async function diverged(
  { schedule, keepLastGood }: FitOptions,
  { step, loss, peak, limit }: { step: number; loss: number; peak: number; limit: number },
  lastGood: TrainableModel | null,
): Promise<SluiceError> {
  const kept = lastGood === null ? undefined : await keepLastGood?.(lastGood);
  return new SluiceError(
    "E_TRAIN_DIVERGED",
    `Expected the loss to stay below ${limit.toPrecision(3)}, found ${loss.toPrecision(3)} at step ${step + 1} of ${schedule.steps}, with a learning rate of ${peak}. ` +
      `Train with a lower one: --learning-rate ${peak / 4}.` +
      (kept === undefined ? "" : ` The weights of the last sound check are in ${kept}.`),
    { step, learningRate: peak },
  );
}

function throwIfStopped({ signal, schedule }: FitOptions, step: number): void {
  if (signal?.aborted !== true) return;
  throw new SluiceError(
    "E_CANCELLED",
    `Stopped on request after ${step} of ${counted(schedule.steps, "training step")}.`,
    {
      cause: signal.reason,
    },
  );
}

/** Some images, spread over all, as they are. */
function sampleOf({ model, examples }: FitOptions): LabelledPixels {
  const every = Math.ceil(examples.count / LOOKED_AT);
  const rows = Int32Array.from({ length: Math.ceil(examples.count / every) }, (_, at) => at * every);
  return takeRows(examples, rows, pixelBytes(model.preparation.input));
}

async function accuracyOn(model: TrainableModel, { labels, ...images }: LabelledPixels): Promise<number> {
  const predicted = predictedClasses(await model.logits(images), model.preparation.labels.length);
  return labels.filter((label, at) => predicted[at] === label).length / labels.length;
}

function batchOf({ model, examples, schedule }: FitOptions, rows: Int32Array, random: SeededRandom): LabelledPixels {
  const { input } = model.preparation;
  const images = takeRows(examples, rows, pixelBytes(input));
  const { augmentation } = schedule;
  if (augmentation === null) return images;
  const shape = { width: input.width, height: input.height, channels: channelsOf(input) };
  const pixels = new Uint8Array(images.pixels.length);
  for (let at = 0; at < images.count; at++) {
    augmentInto(images.pixels, at, pixels, at, shape, augmentation, random);
  }
  return { ...images, pixels };
}

function checkLabels({ count, labels }: LabelledPixels, classes: number): void {
  if (count === 0) {
    throw new SluiceError("E_TRAIN_DATA", "Expected labelled images to train on, found none.");
  }
  const wrong = labels.find((label) => label < 0 || label >= classes);
  if (wrong !== undefined) {
    throw new SluiceError("E_TRAIN_DATA", `Expected labels from 0 to ${classes - 1}, found ${wrong}.`, {
      label: wrong,
    });
  }
}
