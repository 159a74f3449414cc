import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTfjsTrainer, type TrainerBackend } from "../../connectors/trainer/tfjs.js";
import type { Architecture, Preparation, TrainableModel } from "../../connectors/trainer/trainer.js";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import { modelCardSchema, type ModelCard } from "../../schemas/model-card.js";

const SIDE = 5;
export const PREPARATION: Preparation = {
  input: { width: SIDE, height: SIDE, layout: "NHWC", colour: "grey" },
  resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
  normalise: { mean: [0.4], std: [0.3] },
  labels: ["left", "right", "top"],
};
export const ARCHITECTURES: readonly Architecture[] = [
  { kind: "mlp", hidden: [7] },
  { kind: "patch-conv", channels: [3, 4] },
];

/** Noise with one half brighter: the class says which. */
export function examples(count: number, seed: number): LabelledPixels {
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
export function lossOf(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  let sum = 0;
  labels.forEach((label, image) => {
    const row = [...logits.subarray(image * classes, (image + 1) * classes)];
    const most = Math.max(...row);
    sum += most + Math.log(row.reduce((all, value) => all + Math.exp(value - most), 0)) - row[label]!;
  });
  return sum / labels.length;
}

export async function trained(model: TrainableModel, steps: number, learningRate = 0.05): Promise<TrainableModel> {
  for (let step = 0; step < steps; step++) {
    await model.step(examples(24, 100 + step), { learningRate, weightDecay: 1e-4 });
  }
  return model;
}

export const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void => {
  assert.equal(found.length, expected.length);
  const furthest = Array.from(found, (value, at) => Math.abs(value - expected[at]!)).reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  assert.ok(furthest <= tolerance, `furthest apart: ${furthest}`);
};

/** What training keeps on every backend. `skip`: why this one cannot run here. */
export function trainerConformance(backend: TrainerBackend, skip: string | null = null): void {
  describe(`tfjs trainer on ${backend}`, { skip: skip ?? false }, () => {
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

      test(`${architecture.kind}: a fresh model goes on from another's snapshot as that one does, to the bit`, async () => {
        const trainer = await openTfjsTrainer({ backend });
        const [one, other] = await Promise.all([1, 2].map((seed) => trainer.create(architecture, PREPARATION, seed)));
        await trained(one!, 4);
        await other!.restore(await one!.snapshot());
        for (const model of [one!, other!]) await trained(model, 3);
        assert.deepEqual(await other!.snapshot(), await one!.snapshot());
        one!.dispose();
        other!.dispose();
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

export function cardOf(format: ModelCard["format"], files: readonly string[]): ModelCard {
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
