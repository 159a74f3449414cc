import { setImmediate as nextTurn } from "node:timers/promises";
import type { TrainableModel } from "../../connectors/trainer/trainer.js";
import { SluiceError } from "../../schemas/errors.js";
import { takeRows, type LabelledPixels } from "../../schemas/labelled-pixels.js";
import { channelsOf } from "../../schemas/model-card.js";
import { pixelBytes } from "../../schemas/pixels.js";
import { augmentInto, type Augmentation } from "../pure/augmentation.js";
import { learningRateAt } from "../pure/learning-rate.js";
import { classBalancedSampler, shuffledSampler } from "../pure/sampling.js";
import { SeededRandom } from "../pure/seeded-random.js";

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
}

export interface FitOptions {
  readonly model: TrainableModel;
  readonly examples: LabelledPixels;
  readonly schedule: Schedule;
  /** Order of the images and their movements */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: FitStep) => void) | undefined;
}

/**
 * Trains the model in place. Between two steps everything else gets its turn: progress, a stop request. Throws E_TRAIN_DATA
 * without examples or for a label that the model has no class for, E_TRAIN_DIVERGED, E_CANCELLED. Returns the last loss.
 */
export async function fit(options: FitOptions): Promise<{ readonly loss: number }> {
  const { model, examples, schedule, seed, signal, onStep } = options;
  const { steps, batch } = schedule;
  checkLabels(examples, model.preparation.labels.length);
  const sampler = schedule.classBalanced ? classBalancedSampler : shuffledSampler;
  const nextRows = sampler({ labels: examples.labels, batch, seed });
  const random = new SeededRandom(seed, "augmentation");
  let loss = NaN;
  for (let step = 0; step < steps; step++) {
    if (signal?.aborted === true) {
      throw new SluiceError("E_CANCELLED", `Stopped on request after ${step} of ${steps} training steps.`, {
        cause: signal.reason,
      });
    }
    const images = batchOf(options, nextRows(), random);
    const learningRate = learningRateAt({ ...schedule, peak: schedule.learningRate }, step, steps);
    loss = await model.step(images, { learningRate, weightDecay: schedule.weightDecay });
    if (!Number.isFinite(loss)) {
      throw new SluiceError(
        "E_TRAIN_DIVERGED",
        `Expected a finite loss, found ${loss} at step ${step + 1} of ${steps}. Lower the learning rate (${schedule.learningRate}), or check the images.`,
        { step, learningRate },
      );
    }
    onStep?.({ step: step + 1, steps, loss });
    await nextTurn();
  }
  return { loss };
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
