import type { TrainableModel } from "../../connectors/trainer/trainer.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import { LossWatch } from "./loss-watch.js";

/** What a rate that is too high is divided by */
const STEP_DOWN = 4;
const MOST_TRIES = 6;

export interface ProbeOptions {
  readonly model: TrainableModel;
  /** The next batch; the probe takes some of its own */
  readonly nextBatch: () => LabelledPixels;
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Called before each step; may throw, to stop */
  readonly beforeStep: () => Promise<void>;
}

/**
 * The greatest of the rate, a quarter of it, a sixteenth … with which a copy of the model takes `steps` steps and its loss does not
 * run away; null where none of six does. The model stays as it is. A rate that is too high shows within a few steps.
 */
export async function probeLearningRate(options: ProbeOptions): Promise<number | null> {
  const { model, nextBatch, steps, weightDecay, beforeStep } = options;
  const batches: LabelledPixels[] = [];
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const learningRate = options.learningRate / STEP_DOWN ** attempt;
    const copy = await model.copy();
    const watch = new LossWatch(model.preparation.labels.length);
    try {
      for (let step = 0; step < steps && !watch.hasRunAway; step++) {
        await beforeStep();
        // The same images for every rate: what differs is the rate.
        const batch = (batches[step] ??= nextBatch());
        watch.add(await copy.step(batch, { learningRate: (learningRate * (step + 1)) / steps, weightDecay }));
      }
    } finally {
      copy.dispose();
    }
    if (!watch.hasRunAway) return learningRate;
  }
  return null;
}
