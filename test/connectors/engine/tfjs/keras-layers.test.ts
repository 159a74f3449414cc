import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inferCard } from "../../../../connectors/engine/teacher/infer-card.js";
import { asKeras2 } from "../../../../connectors/engine/tfjs/keras-topology.js";
import { openEngine } from "../../../../connectors/engine/open.js";
import { engineSchema } from "../../../../schemas/config.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { ROOT } from "../../../architecture/repository.js";
import { withFolder } from "../../../conformance/engine.js";

const SIDE = 4;
const KERNEL = [3, -1, 0.5, -2, 1, 0.25];
const BIAS = [0.1, -0.3];
type Layer = Readonly<Record<string, unknown>>;
type Extra = readonly (readonly [string, readonly number[], readonly number[]])[];

const layer = (name: string, config: Layer = {}): Layer => ({
  class_name: name,
  config: { name: name.toLowerCase(), trainable: true, dtype: "float32", ...config },
});
const input = (member: string): Layer => ({
  class_name: "InputLayer",
  config: { [member]: [null, SIDE, SIDE, 3], dtype: "float32", name: "input_1" },
});
const pool = layer("GlobalAveragePooling2D", { data_format: "channels_last" });
const dense = (config: Layer = {}): Layer =>
  layer("Dense", { units: 2, activation: "linear", use_bias: true, ...config });

/** Writes a layers model that pools and weighs the colours, and gives its logits for an image of one colour. */
async function logitsOf(
  folder: string,
  layers: readonly Layer[],
  normalise: { mean: number[]; std: number[] } | undefined,
  extra: Extra = [],
  modelClass: Layer = { class_name: "Sequential", config: { name: "m", layers } },
): Promise<Float32Array> {
  const weights: Extra = [["dense/kernel", [3, 2], KERNEL], ["dense/bias", [2], BIAS], ...extra];
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "w.bin"), Float32Array.from(weights.flatMap(([, , values]) => [...values])));
  const specs = weights.map(([name, shape]) => ({ name, shape, dtype: "float32" }));
  const topology = { keras_version: "3.5.0", backend: "tensorflow", model_config: modelClass };
  await writeFile(
    join(folder, "model.json"),
    JSON.stringify({
      format: "layers-model",
      modelTopology: topology,
      weightsManifest: [{ paths: ["w.bin"], weights: specs }],
    }),
  );
  const { card } = await inferCard(join(folder, "model.json"), { normalise });
  const engine = await openEngine({ card, folder }, engineSchema.parse({ workers: 1, batch: 1 }));
  try {
    const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => [200, 100, 50][at % 3]!);
    return await engine.score({ count: 1, pixels });
  } finally {
    await engine.close();
  }
}

const weigh = (pixel: readonly number[]): number[] =>
  BIAS.map((bias, out) => pixel.reduce((sum, value, at) => sum + value * KERNEL[at * 2 + out]!, bias));
const UNIT = { mean: [0], std: [1] };
const unit = [200, 100, 50].map((value) => value / 255);

function near(found: Float32Array, expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  expected.forEach((value, at) => {
    assert.ok(Math.abs(found[at]! - value) < 1e-4, `${found[at]} for ${value}`);
  });
}

test("Keras 3's layout, and Keras's layers that TensorFlow.js lacks, score as in Keras", async () => {
  await withFolder(async (folder) => {
    const policy = { module: "keras", class_name: "DTypePolicy", config: { name: "float32" }, registered_name: null };
    near(await logitsOf(join(folder, "3"), [input("batch_shape"), pool, dense({ dtype: policy })], UNIT), weigh(unit));
    const augmented = [
      input("batch_input_shape"),
      layer("RandomFlip", { mode: "horizontal" }),
      layer("RandomRotation", { factor: 0.1 }),
      pool,
      dense(),
    ];
    near(await logitsOf(join(folder, "augmented"), augmented, UNIT), weigh(unit));
    const mean = [0.4, 0.5, 0.6];
    const variance = [0.04, 0.09, 0.16];
    const normalised = unit.map((value, at) => (value - mean[at]!) / Math.sqrt(variance[at]!));
    const stored: Extra = [
      ["normalization/mean", [3], mean],
      ["normalization/variance", [3], variance],
      ["normalization/count", [], [0]],
    ];
    near(
      await logitsOf(
        join(folder, "stored"),
        [input("batch_input_shape"), layer("Normalization", { axis: [-1] }), pool, dense()],
        UNIT,
        stored,
      ),
      weigh(normalised),
    );
    near(
      await logitsOf(
        join(folder, "given"),
        [input("batch_input_shape"), layer("Normalization", { axis: [-1], mean, variance }), pool, dense()],
        UNIT,
      ),
      weigh(normalised),
    );
  });
});

test("a functional model of Keras 3 is called as its history says, and Rescaling inside needs no normalisation said", async () => {
  await withFolder(async (folder) => {
    const tensor = (name: string): Layer => ({
      class_name: "__keras_tensor__",
      config: { shape: [null], dtype: "float32", keras_history: [name, 0, 0] },
    });
    const called = (one: Layer, from: string | null): Layer => ({
      ...one,
      name: (one["config"] as { name: string }).name,
      inbound_nodes: from === null ? [] : [{ args: [tensor(from)], kwargs: {} }],
    });
    const layers = [
      called(input("batch_shape"), null),
      called(layer("Rescaling", { scale: 1 / 255, offset: 0 }), "input_1"),
      called(pool, "rescaling"),
      called(dense(), "globalaveragepooling2d"),
    ];
    const model = {
      class_name: "Functional",
      config: { name: "m", layers, input_layers: ["input_1", 0, 0], output_layers: ["dense", 0, 0] },
    };
    near(await logitsOf(folder, layers, undefined, [], model), weigh(unit));
  });
  const merged = asKeras2({
    inbound_nodes: [
      { args: [[{ config: { keras_history: ["a", 0, 0] } }, { config: { keras_history: ["b", 0, 1] } }]] },
    ],
  });
  assert.deepEqual(merged, {
    inbound_nodes: [
      [
        ["a", 0, 0, {}],
        ["b", 0, 1, {}],
      ],
    ],
  });
  const keras2 = {
    layers: [{ config: { dtype: "float32", batch_input_shape: [null, 3] }, inbound_nodes: [[["a", 0, 0, {}]]] }],
    input_layers: [["a", 0, 0]],
  };
  assert.deepEqual(asKeras2(keras2), keras2);
});

test("a layer that nobody has is named with what to do, and weights that break off with their sizes", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(
      logitsOf(folder, [input("batch_input_shape"), layer("Lambda"), pool, dense()], UNIT),
      (error) =>
        isSluiceError(error, "E_ENGINE_LOAD") &&
        /has no Lambda\. Make a graph model.*tfjs|has no Lambda\. .*tensorflowjs_converter/s.test(error.message),
    );
    await assert.rejects(
      logitsOf(folder, [input("batch_input_shape"), pool, dense()], UNIT, [["dense/more", [9], [1]]]),
      (error) =>
        isSluiceError(error, "E_ENGINE_LOAD") && /w\.bin of 36 bytes where the model names 68/.test(error.message),
    );
  });
});

interface Golden {
  readonly name: string;
  readonly tolerance: number;
  readonly topology: unknown;
  readonly weights: readonly { readonly name: string; readonly shape: number[]; readonly values: number[] }[];
  readonly pixels: readonly number[][];
  readonly outputs: readonly number[][];
}

/** Made by keras3/make.py, beside this file's source */
const GOLDEN = join(ROOT, "test/connectors/engine/tfjs/keras3/goldens.json");

test("models that Keras 3 wrote give what Keras 3 gives", async () => {
  const { models } = JSON.parse(await readFile(GOLDEN, "utf8")) as { models: readonly Golden[] };
  assert.equal(models.length, 4);
  await withFolder(async (folder) => {
    for (const [at, { name, tolerance, topology, weights, pixels, outputs }] of models.entries()) {
      const own = join(folder, String(at));
      await mkdir(own);
      await writeFile(join(own, "w.bin"), Float32Array.from(weights.flatMap(({ values }) => values)));
      const specs = weights.map((weight) => ({ name: weight.name, shape: weight.shape, dtype: "float32" }));
      await writeFile(
        join(own, "model.json"),
        JSON.stringify({ modelTopology: topology, weightsManifest: [{ paths: ["w.bin"], weights: specs }] }),
      );
      const { card } = await inferCard(join(own, "model.json"), { normalise: UNIT, outputKind: "logits" });
      const engine = await openEngine({ card, folder: own }, engineSchema.parse({ workers: 1, batch: 2 }));
      try {
        const found = await engine.score({ count: 2, pixels: Uint8Array.from(pixels.flat()) });
        const expected = outputs.flat();
        assert.equal(found.length, expected.length, name);
        expected.forEach((value, one) => {
          const off = Math.abs(found[one]! - value) / Math.max(1, Math.abs(value));
          assert.ok(off < tolerance, `${name}: ${found[one]} for ${value}`);
        });
      } finally {
        await engine.close();
      }
    }
  });
});

test("what a layer asks for and TensorFlow.js would pass over is named", async () => {
  await withFolder(async (folder) => {
    for (const [at, [kind, config, named]] of (
      [
        ["Conv2D", { filters: 3, kernel_size: [1, 1], groups: 3 }, "Conv2D with groups"],
        ["Resizing", { height: 3, width: 3, crop_to_aspect_ratio: true }, "Resizing with crop to aspect ratio"],
        ["Resizing", { height: 3, width: 3, interpolation: "bicubic" }, "Resizing with bicubic"],
      ] as const
    ).entries()) {
      await assert.rejects(
        logitsOf(join(folder, String(at)), [input("batch_shape"), layer(kind, config), pool, dense()], UNIT),
        (error) =>
          isSluiceError(error, "E_ENGINE_LOAD") && error.message.includes(`has no ${named}. Make a graph model`),
      );
    }
  });
});
