import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openTfjsTrainer, type TrainerBackend } from "../../../connectors/trainer/tfjs.js";
import type { Preparation, TrainableModel } from "../../../connectors/trainer/trainer.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { LabelledPixels } from "../../../schemas/labelled-pixels.js";
import { toTensor } from "../../../schemas/pixels.js";
import {
  ARCHITECTURES,
  cardOf,
  examples,
  lossOf,
  near,
  PREPARATION,
  trained,
  trainerConformance,
} from "../../conformance/trainer.js";

const SIDE = PREPARATION.input.width;
const BACKENDS: readonly TrainerBackend[] = ["cpu", "wasm"];
for (const backend of BACKENDS) trainerConformance(backend);

test("both backends train alike", async () => {
  for (const architecture of ARCHITECTURES) {
    const probe = examples(20, 2);
    const logits: Float32Array[] = [];
    for (const backend of BACKENDS) {
      const trainer = await openTfjsTrainer({ backend });
      const model = await trained(await trainer.create(architecture, PREPARATION, 4), 10);
      logits.push(await model.logits(probe));
      model.dispose();
    }
    near(logits[0]!, logits[1]!, 1e-4);
  }
});

test("a patch convolution is a convolution of kernel 2 and stride 2, after Nesterov's first step", async () => {
  // One class out of two and one channel: small enough to be worked out by hand with the weights that the file shows.
  const trainer = await openTfjsTrainer({ backend: "cpu" });
  const preparation: Preparation = { ...PREPARATION, labels: ["a", "b"] };
  const model = await trainer.create({ kind: "patch-conv", channels: [2] }, preparation, 6);
  const batch = examples(3, 8);
  const two = { ...batch, labels: batch.labels.map((label) => label % 2) };
  const folder = await mkdtemp(join(tmpdir(), "sluice-trainer-"));
  try {
    const before = await weightsOf(model, join(folder, "before"));
    near(await model.logits(two), convolutionLogits(before, two, preparation), 1e-4);
    await model.step(two, { learningRate: 0.01, weightDecay: 0.5 });
    const moved = await weightsOf(model, join(folder, "after"));
    const loss = (weights: readonly Float64Array[]): number =>
      lossOf(convolutionLogits(weights, two, preparation), two.labels);
    before.forEach((weight, which) => {
      weight.forEach((value, at) => {
        const shifted = (by: number): number =>
          loss(before.map((other, index) => (index === which ? other.with(at, value + by) : other)));
        const gradient = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
        // The first step of Nesterov's momentum goes 1 + 0.9 times along the gradient; then kernels shrink by 0.01 x 0.5.
        const kept = which % 2 === 0 ? 0.995 : 1;
        const expected = (value - 0.01 * 1.9 * gradient) * kept;
        assert.ok(Math.abs(moved[which]![at]! - expected) < 1e-4, `weight ${which}[${at}]`);
      });
    });
  } finally {
    await rm(folder, { recursive: true });
    model.dispose();
  }
});

test("what is no layers model of the card's shape is refused with its reason", async () => {
  const trainer = await openTfjsTrainer({ backend: "cpu" });
  const folder = await mkdtemp(join(tmpdir(), "sluice-trainer-"));
  try {
    const model = await trainer.create({ kind: "mlp", hidden: [3] }, PREPARATION, 1);
    const { format, files } = await model.save(folder);
    const card = cardOf(format, files);
    await assert.rejects(trainer.load({ ...card, labels: ["a", "b"] }, folder), (error) =>
      isSluiceError(error, "E_ENGINE_SHAPE"),
    );
    await assert.rejects(trainer.load({ ...card, format: "onnx" }, folder), /format onnx/);
    await assert.rejects(trainer.load(card, join(folder, "absent")), (error) => isSluiceError(error, "E_ENGINE_LOAD"));
    await assert.rejects(trainer.create({ kind: "mlp", hidden: [0] }, PREPARATION, 1), (error) =>
      isSluiceError(error, "E_TRAIN_DATA"),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** The weights that a saved model's file holds: kernel, bias, kernel, bias. */
async function weightsOf(model: TrainableModel, folder: string): Promise<Float64Array[]> {
  const { readFile } = await import("node:fs/promises");
  const [entry, weights] = (await model.save(folder)).files.map((file) => join(folder, file));
  const json = JSON.parse(await readFile(entry!, "utf8")) as {
    weightsManifest: { weights: { shape: number[] }[] }[];
  };
  const bytes = await readFile(weights!);
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  let at = 0;
  return json.weightsManifest[0]!.weights.map(({ shape }) => {
    const length = shape.reduce((all, size) => all * size, 1);
    at += length;
    return Float64Array.from(values.subarray(at - length, at));
  });
}

/** The model written as loops over a 5 x 5 image, padded below and to the right to 6 x 6, in double. */
function convolutionLogits(
  [kernel, bias, last, lastBias]: readonly Float64Array[],
  batch: LabelledPixels,
  preparation: Preparation,
): Float32Array {
  const channels = bias!.length;
  const classes = lastBias!.length;
  const tensor = toTensor(batch, preparation);
  const logits = new Float32Array(batch.count * classes);
  for (let image = 0; image < batch.count; image++) {
    const value = (y: number, x: number): number => (y < SIDE && x < SIDE ? tensor[(image * SIDE + y) * SIDE + x]! : 0);
    const features: number[] = [];
    for (let y = 0; y < 6; y += 2) {
      for (let x = 0; x < 6; x += 2) {
        for (let channel = 0; channel < channels; channel++) {
          let sum = bias![channel]!;
          for (let tap = 0; tap < 4; tap++) {
            sum += value(y + Math.floor(tap / 2), x + (tap % 2)) * kernel![tap * channels + channel]!;
          }
          features.push(Math.max(0, sum));
        }
      }
    }
    const mean = features.reduce((all, feature) => all + feature, 0) / features.length;
    const variance = features.reduce((all, feature) => all + (feature - mean) ** 2, 0) / features.length;
    features.forEach((feature, at) => (features[at] = (feature - mean) / Math.sqrt(variance + 1e-3)));
    for (let label = 0; label < classes; label++) {
      const sum = features.reduce(
        (all, feature, at) => all + feature * last![at * classes + label]!,
        lastBias![label]!,
      );
      logits[image * classes + label] = sum;
    }
  }
  return logits;
}
