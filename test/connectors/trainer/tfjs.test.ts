import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTfjsTrainer, type TrainerBackend } from "../../../connectors/trainer/tfjs.js";
import type { Architecture, Preparation, TrainableModel } from "../../../connectors/trainer/trainer.js";
import { SeededRandom } from "../../../operators/pure/seeded-random.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { LabelledPixels } from "../../../schemas/labelled-pixels.js";
import { modelCardSchema, type ModelCard } from "../../../schemas/model-card.js";
import { toTensor } from "../../../schemas/pixels.js";

const SIDE = 5;
const PREPARATION: Preparation = {
  input: { width: SIDE, height: SIDE, layout: "NHWC", colour: "grey" },
  resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
  normalise: { mean: [0.4], std: [0.3] },
  labels: ["left", "right", "top"],
};
const ARCHITECTURES: readonly Architecture[] = [
  { kind: "mlp", hidden: [7] },
  { kind: "patch-conv", channels: [3, 4] },
];
const BACKENDS: readonly TrainerBackend[] = ["cpu", "wasm"];

/** Noise with one half brighter: the class says which. */
function examples(count: number, seed: number): LabelledPixels {
  const random = new SeededRandom(seed);
  const labels = Int32Array.from({ length: count }, () => random.below(3));
  const pixels = new Uint8Array(count * SIDE * SIDE);
  labels.forEach((label, image) => {
    for (let at = 0; at < SIDE * SIDE; at++) {
      const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
      const bright = label === 0 ? x < 2 : label === 1 ? x > 2 : y < 2;
      pixels[image * SIDE * SIDE + at] = random.below(90) + (bright ? 120 : 0);
    }
  });
  return { count, pixels, labels };
}

/** Mean cross-entropy, in double, from logits. */
function lossOf(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  let sum = 0;
  labels.forEach((label, image) => {
    const row = [...logits.subarray(image * classes, (image + 1) * classes)];
    const most = Math.max(...row);
    sum += most + Math.log(row.reduce((all, value) => all + Math.exp(value - most), 0)) - row[label]!;
  });
  return sum / labels.length;
}

async function trained(model: TrainableModel, steps: number, learningRate = 0.05): Promise<TrainableModel> {
  for (let step = 0; step < steps; step++) {
    await model.step(examples(24, 100 + step), { learningRate, weightDecay: 1e-4 });
  }
  return model;
}

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void => {
  assert.equal(found.length, expected.length);
  const furthest = Array.from(found, (value, at) => Math.abs(value - expected[at]!)).reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  assert.ok(furthest <= tolerance, `furthest apart: ${furthest}`);
};

for (const backend of BACKENDS) {
  describe(`tfjs trainer on ${backend}`, () => {
    const folders: string[] = [];
    after(async () => {
      for (const folder of folders) await rm(folder, { recursive: true });
    });

    for (const architecture of ARCHITECTURES) {
      test(`${architecture.kind} learns what can be learnt, and the loss that a step returns is that of its batch`, async () => {
        const trainer = await openTfjsTrainer({ backend });
        assert.equal(trainer.backend, backend);
        const model = await trainer.create(architecture, PREPARATION, 1);
        const batch = examples(24, 5);
        const before = lossOf(await model.logits(batch), batch.labels);
        const loss = await model.step(batch, { learningRate: 0.01, weightDecay: 0 });
        assert.ok(Math.abs(loss - before) < 1e-5, `${loss} is not ${before}`);
        assert.ok(lossOf(await model.logits(batch), batch.labels) < before, "a step goes down");
        await trained(model, 80);
        const fresh = examples(60, 9);
        assert.ok(lossOf(await model.logits(fresh), fresh.labels) < 0.2);
        model.dispose();
      });

      test(`${architecture.kind}: the seed decides the weights; a copy is a model of its own`, async () => {
        const trainer = await openTfjsTrainer({ backend });
        const probe = examples(10, 2);
        const models = await Promise.all([1, 1, 2].map((seed) => trainer.create(architecture, PREPARATION, seed)));
        const [one, same, other] = await Promise.all(models.map((model) => model.logits(probe)));
        assert.deepEqual(one, same);
        assert.notDeepEqual(one, other);
        await trained(models[0]!, 5);
        await trained(models[1]!, 5);
        const after5 = await models[0]!.logits(probe);
        assert.deepEqual(after5, await models[1]!.logits(probe));
        const copy = await models[0]!.copy();
        assert.deepEqual(await copy.logits(probe), after5);
        await trained(copy, 3);
        assert.notDeepEqual(await copy.logits(probe), after5);
        assert.deepEqual(await models[0]!.logits(probe), after5, "training the copy left the original alone");
        for (const model of [...models, copy]) model.dispose();
      });

      test(`${architecture.kind}: saved and loaded again it gives the same logits and can be trained further`, async () => {
        const trainer = await openTfjsTrainer({ backend });
        const model = await trained(await trainer.create(architecture, PREPARATION, 3), 5);
        const folder = await mkdtemp(join(tmpdir(), "sluice-trainer-"));
        folders.push(folder);
        const { format, files } = await model.save(folder);
        const loaded = await trainer.load(cardOf(format, files), folder);
        const probe = examples(300, 2);
        const logits = await model.logits(probe);
        assert.deepEqual(await loaded.logits(probe), logits);
        await trained(loaded, 40);
        assert.ok(lossOf(await loaded.logits(probe), probe.labels) < lossOf(logits, probe.labels));
        model.dispose();
        loaded.dispose();
      });
    }

    test("a model that puts out probabilities is trained by their logarithms", async () => {
      const trainer = await openTfjsTrainer({ backend });
      const model = await trainer.create({ kind: "mlp", hidden: [4] }, PREPARATION, 1);
      const folder = await mkdtemp(join(tmpdir(), "sluice-trainer-"));
      folders.push(folder);
      const { format, files } = await model.save(folder);
      // The same model with a softmax behind its last layer.
      const { readFile, writeFile } = await import("node:fs/promises");
      const json = await readFile(join(folder, files[0]!), "utf8");
      const last = json.lastIndexOf('"activation":"linear"');
      assert.ok(last > 0);
      await writeFile(
        join(folder, files[0]!),
        `${json.slice(0, last)}"activation":"softmax"${json.slice(last + '"activation":"linear"'.length)}`,
      );
      const loaded = await trainer.load({ ...cardOf(format, files), output: { kind: "probabilities" } }, folder);
      const batch = examples(12, 1);
      const expected = lossOf(await model.logits(batch), batch.labels);
      assert.ok(Math.abs((await loaded.step(batch, { learningRate: 0.1, weightDecay: 0 })) - expected) < 1e-5);
      await model.step(batch, { learningRate: 0.1, weightDecay: 0 });
      const [a, b] = [await model.logits(batch), await loaded.logits(batch)];
      assert.ok(Math.abs(lossOf(a, batch.labels) - lossOf(b, batch.labels)) < 1e-5, "and the step is the same");
    });
  });
}

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

function cardOf(format: ModelCard["format"], files: readonly string[]): ModelCard {
  const sha256 = "0".repeat(64);
  return modelCardSchema.parse({
    schemaVersion: 1,
    name: "small",
    format,
    weights: { files: files.map((path) => ({ path, sizeBytes: 0, sha256 })), sha256 },
    ...PREPARATION,
    output: { kind: "logits" },
  });
}

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
