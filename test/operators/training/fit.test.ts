import assert from "node:assert/strict";
import { test } from "node:test";
import type { Preparation, TrainableModel } from "../../../connectors/trainer/trainer.js";
import { openTfjsTrainer } from "../../../connectors/trainer/tfjs.js";
import { fit, type FitCheckpoint, type Schedule } from "../../../operators/training/fit.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { LabelledPixels } from "../../../schemas/labelled-pixels.js";

/** 2 x 2 grey images: class 0 is dark on the left, class 1 on the right. Nine of the first, one of the second. */
const EXAMPLES: LabelledPixels = {
  count: 10,
  labels: Int32Array.from({ length: 10 }, (_, image) => (image === 4 ? 1 : 0)),
  pixels: Uint8Array.from({ length: 40 }, (_, at) => ((Math.floor(at / 4) === 4) === (at % 2 === 0) ? 200 : 10)),
};
const SCHEDULE: Schedule = {
  steps: 60,
  batch: 5,
  learningRate: 0.1,
  warmUpSteps: 5,
  weightDecay: 1e-4,
  classBalanced: true,
  augmentation: null,
};

async function smallModel(): Promise<TrainableModel> {
  const trainer = await openTfjsTrainer({ backend: "cpu" });
  const preparation: Preparation = {
    input: { width: 2, height: 2, layout: "NHWC", colour: "grey" },
    resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
    normalise: { mean: [0.5], std: [0.5] },
    labels: ["left", "right"],
  };
  return trainer.create({ kind: "mlp", hidden: [3] }, preparation, 1);
}

test("a rare class is learnt like the others; steps are told one by one", async () => {
  const model = await smallModel();
  const told: number[] = [];
  const { loss } = await fit({
    model,
    examples: EXAMPLES,
    schedule: SCHEDULE,
    seed: 1,
    onStep: ({ step, steps, loss: now }) => {
      assert.equal(steps, 60);
      assert.ok(now > 0);
      told.push(step);
    },
  });
  assert.deepEqual(
    told,
    Array.from({ length: 60 }, (_, at) => at + 1),
  );
  assert.ok(loss < 0.1, `${loss}`);
  const logits = await model.logits(EXAMPLES);
  EXAMPLES.labels.forEach((label, image) => {
    assert.ok(logits[image * 2 + label]! > logits[image * 2 + 1 - label]!, `image ${image}`);
  });
});

test("the examples' pixels are not changed by moving images", async () => {
  const before = EXAMPLES.pixels.slice();
  const augmentation = { rotateDegrees: 20, scale: 0.2, shift: 0.3, shear: 0.2, tint: 0.2 };
  await fit({ model: await smallModel(), examples: EXAMPLES, schedule: { ...SCHEDULE, augmentation }, seed: 1 });
  assert.deepEqual(EXAMPLES.pixels, before);
});

test("training without examples, or with labels that the model has no class for, is refused", async () => {
  const model = await smallModel();
  const none = { count: 0, pixels: new Uint8Array(0), labels: new Int32Array(0) };
  const unknown = { ...EXAMPLES, labels: EXAMPLES.labels.map((label) => label * 2) };
  for (const [examples, message] of [
    [none, /found none/],
    [unknown, /labels from 0 to 1, found 2/],
  ] as const) {
    await assert.rejects(
      fit({ model, examples, schedule: SCHEDULE, seed: 1 }),
      (error) => isSluiceError(error, "E_TRAIN_DATA") && message.test(error.message),
    );
  }
});

test("a learning rate that no training bears is lowered before it begins, and that is said", async () => {
  const rates: number[] = [];
  const { loss, learningRate } = await fit({
    model: await smallModel(),
    examples: EXAMPLES,
    schedule: { ...SCHEDULE, learningRate: 40 },
    seed: 1,
    onLowerRate: (rate) => void rates.push(rate),
  });
  assert.deepEqual(rates, [learningRate]);
  assert.ok(learningRate < 40 && Number.isInteger(Math.log2(40 / learningRate) / 2), `${learningRate}`);
  assert.ok(loss < 2, `${loss}`);
});

test("where no rate will do, training does not begin", async () => {
  await assert.rejects(
    fit({ model: await smallModel(), examples: EXAMPLES, schedule: { ...SCHEDULE, learningRate: 1e30 }, seed: 1 }),
    (error) => isSluiceError(error, "E_TRAIN_DIVERGED") && /runs away with every learning rate/.test(error.message),
  );
});

test("a loss that runs away later ends training, with the weights of the last sound check set aside", async () => {
  const model = await smallModel();
  let steps = 0;
  // The real model, given a rate out of all bounds from step 31 on.
  const tripping: TrainableModel = {
    ...model,
    step: (batch, options) => model.step(batch, steps++ < 30 ? options : { ...options, learningRate: 1e6 }),
  };
  let kept: Float32Array | null = null;
  const losses: number[] = [];
  await assert.rejects(
    fit({
      model: tripping,
      examples: EXAMPLES,
      schedule: SCHEDULE,
      seed: 1,
      onStep: ({ loss }) => void losses.push(loss),
      keepLastGood: async (lastGood) => {
        kept = await lastGood.logits(EXAMPLES);
        return "the-folder";
      },
    }),
    (error) =>
      isSluiceError(error, "E_TRAIN_DIVERGED") &&
      /at step \d+ of 60/.test(error.message) &&
      /--learning-rate 0\.025/.test(error.message) &&
      /last sound check are in the-folder/.test(error.message),
  );
  assert.ok(losses.length >= 30 && losses.length < 60, `${losses.length}`);
  EXAMPLES.labels.forEach((label, image) => {
    assert.ok(kept![image * 2 + label]! > kept![image * 2 + 1 - label]!, `image ${image}`);
  });
});

test("a training that was stopped, and goes on from its checkpoint in another model, ends with the same weights", async () => {
  const augmentation = { rotateDegrees: 10, scale: 0.1, shift: 0.1, shear: 0.1, tint: 0 };
  const common = { examples: EXAMPLES, schedule: { ...SCHEDULE, augmentation }, seed: 3 };
  const whole = await smallModel();
  const { loss } = await fit({ ...common, model: whole });
  for (const stopAfter of [1, 17, 59]) {
    const stop = new AbortController();
    const checkpoints: FitCheckpoint[] = [];
    const stopped = fit({
      ...common,
      model: await smallModel(),
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step === stopAfter) stop.abort();
      },
      onCheckpoint: async (checkpoint) => void checkpoints.push(checkpoint),
    });
    await assert.rejects(stopped, (error) => isSluiceError(error, "E_CANCELLED"));
    for (const resume of [checkpoints.at(-1)!, checkpoints[0]!]) {
      const model = await smallModel();
      const steps: number[] = [];
      const again = await fit({ ...common, model, resume, onStep: ({ step }) => void steps.push(step) });
      assert.equal(again.loss, loss);
      assert.equal(steps[0], resume.step + 1);
      assert.deepEqual(await model.logits(EXAMPLES), await whole.logits(EXAMPLES));
      assert.deepEqual(await model.snapshot(), await whole.snapshot());
    }
    assert.equal(checkpoints.at(-1)!.step, stopAfter);
  }
});

test("a checkpoint of another model is refused", async () => {
  const model = await smallModel();
  const trainer = await openTfjsTrainer({ backend: "cpu" });
  const other = await trainer.create({ kind: "mlp", hidden: [4] }, model.preparation, 1);
  await assert.rejects(model.restore(await other.snapshot()), (error) => isSluiceError(error, "E_TRAIN_DATA"));
});

test("a stop request is seen between two steps, also when a timer makes it", async () => {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let steps = 0;
  const training = fit({
    model: await smallModel(),
    examples: EXAMPLES,
    schedule: { ...SCHEDULE, steps: 10_000_000 },
    seed: 1,
    signal: stop.signal,
    onStep: () => {
      steps++;
      timer ??= setTimeout(() => {
        stop.abort();
      }, 20);
    },
  });
  await assert.rejects(training, (error) => isSluiceError(error, "E_CANCELLED"));
  clearTimeout(timer);
  assert.ok(steps > 0);
});
