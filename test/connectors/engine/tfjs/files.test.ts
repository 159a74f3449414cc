import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { layers, loadLayersModel, sequential } from "@tensorflow/tfjs-layers";
import { tfjsFiles } from "../../../../connectors/engine/tfjs/files.js";
import { withFolder } from "../../../conformance/engine.js";

test("a layers model that was saved predicts what it did before", async () => {
  tf.enableProdMode();
  await tf.setBackend("cpu");
  await withFolder(async (folder) => {
    const model = sequential({
      layers: [
        layers.conv2d({ inputShape: [6, 6, 1], filters: 3, kernelSize: 3, kernelInitializer: "glorotNormal" }),
        layers.flatten(),
        layers.dense({ units: 4, activation: "softmax" }),
      ],
    });
    const path = join(folder, "deep", "model.json");
    await model.save(tfjsFiles(path));
    assert.deepEqual((await readdir(join(folder, "deep"))).sort(), ["model.json", "weights.bin"]);
    const again = await loadLayersModel(tfjsFiles(path));
    const input = tf.randomNormal([2, 6, 6, 1], 0, 1, "float32", 3);
    const predict = (one: typeof model | typeof again) => (one.predict(input) as tf.Tensor).dataSync();
    assert.deepEqual(predict(again), predict(model as typeof again));
  });
});

test("weights in several files are read in the order of the manifest", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "model.json");
    const values = Float32Array.of(1, 2, 3, 4, 5);
    const bytes = new Uint8Array(values.buffer);
    await writeFile(join(folder, "b.bin"), bytes.subarray(0, 7));
    await writeFile(join(folder, "a.bin"), bytes.subarray(7));
    const weights = [{ name: "w", shape: [5], dtype: "float32" }];
    await writeFile(
      path,
      JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: ["b.bin", "a.bin"], weights }] }),
    );
    const { weightData, weightSpecs } = await tfjsFiles(path).load!();
    assert.deepEqual(new Float32Array(weightData as ArrayBuffer), values);
    assert.deepEqual(weightSpecs, weights);
    assert.equal((await readFile(path)).length > 0, true);
  });
});
