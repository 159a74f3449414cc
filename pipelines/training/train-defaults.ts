import type { Architecture } from "../../connectors/trainer/trainer.js";
import type { Augmentation } from "../../operators/training/augmentation.js";
import type { Schedule } from "../../operators/training/fit.js";

/** Where these numbers come from: docs/training.md, "How the defaults were chosen". */

/** Of the convolutions, the first first; few, so that two cores train them in minutes. */
const CHANNELS = [16, 32, 64, 64, 64] as const;
/** Above this side, px, the first patches are of 4 px: most of the time goes where the image is still large */
const FINE_SIDE = 40;
/** Convolutions follow one another until this few rows are left */
const LAST_ROWS = 3;

/** Up to so many values a grey image (32 x 32), a student has dense layers only */
const DENSE_VALUES = 1024;

/**
 * A student's network. On the smallest grey images one hidden layer gains most from a version (docs/training.md), in a quarter of
 * the time; on larger ones, and in colour, it has too many weights for what it can tell apart.
 */
export function studentFor(input: {
  readonly width: number;
  readonly height: number;
  readonly colour: "rgb" | "bgr" | "grey";
}): Architecture {
  const isSmall = input.width * input.height <= DENSE_VALUES;
  return isSmall && input.colour === "grey" ? { kind: "mlp", hidden: [64] } : networkFor(input);
}

/** A teacher's network, and that of a student of larger images: from 14 to 128 px it ends in 2 to 3 rows and columns. */
export function networkFor({ width, height }: { readonly width: number; readonly height: number }): Architecture {
  const side = Math.max(width, height);
  const patch = side > FINE_SIDE ? 4 : 2;
  let rows = Math.ceil(side / patch);
  let convolutions = 1;
  while (rows > LAST_ROWS && convolutions < CHANNELS.length) {
    rows = Math.ceil(rows / 2);
    convolutions++;
  }
  return { kind: "patch-conv", channels: CHANNELS.slice(0, convolutions), patch };
}

/**
 * The same in every phase, for the student without a version as well: no phase owes its result to movements alone. Without tints, a model in colour learns its few
 * labelled images by their colours.
 */
const MOVED: Augmentation = { rotateDegrees: 14, scale: 0.15, shift: 0.085, shear: 0.2, tint: 0.5 };

const COMMON = { weightDecay: 2e-3, classBalanced: true, augmentation: MOVED } as const;

/** A new model on a few labelled images. */
export const LABELLED_SCHEDULE: Schedule = {
  ...COMMON,
  steps: 1000,
  batch: 50,
  learningRate: 0.03,
  warmUpSteps: 20,
};

/** The baseline: three times as long, because a small student still gains from that and must not be sold short. */
export const BASELINE_SCHEDULE: Schedule = { ...LABELLED_SCHEDULE, steps: 3000, learningRate: 0.05 };

/** A new student on a version of some thousand images. */
export const PRETRAIN_SCHEDULE: Schedule = {
  ...COMMON,
  steps: 4000,
  batch: 64,
  learningRate: 0.05,
  warmUpSteps: 20,
};

/** Gentle: the version has taught the student more than these few images can, and a high rate forgets it. */
export const FINE_TUNE_SCHEDULE: Schedule = {
  ...COMMON,
  steps: 100,
  batch: 50,
  learningRate: 0.0005,
  warmUpSteps: 10,
};

/** Outputs that are normalised answer a change of the weights more strongly: at 0.0005 they forget what the version taught. */
const NORMALISED_FINE_TUNE_RATE = 0.00005;

export function fineTuneScheduleFor(architecture: Architecture): Schedule {
  return architecture.kind === "mlp"
    ? FINE_TUNE_SCHEDULE
    : { ...FINE_TUNE_SCHEDULE, learningRate: NORMALISED_FINE_TUNE_RATE };
}

/** Bytes of decoded pixels that a training run holds at most, unless told otherwise: 1 GiB. */
export const MAX_TRAINING_BYTES = 1024 ** 3;
