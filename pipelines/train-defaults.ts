import type { Architecture } from "../connectors/trainer/trainer.js";
import type { Augmentation } from "../operators/pure/augmentation.js";
import type { Schedule } from "../operators/stages/fit.js";

/** Where these numbers come from: docs/training.md, "How the defaults were chosen". */

export const TEACHER: Architecture = { kind: "patch-conv", channels: [16, 32, 64] };
export const STUDENT: Architecture = { kind: "mlp", hidden: [64] };

/** The same in every phase, for the student without a version as well: no phase owes its result to movements alone. */
const MOVED: Augmentation = { rotateDegrees: 14, scale: 0.15, shift: 0.085, shear: 0.2 };

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

/** Bytes of decoded pixels that a training run holds at most, unless told otherwise: 1 GiB. */
export const MAX_TRAINING_BYTES = 1024 ** 3;
