import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encodeOnnx } from "../../fixtures/onnx-file.js";
import type { TeacherFiles } from "../../../connectors/engine/engine.js";
import { openEngine } from "../../../connectors/engine/open.js";
import { engineSchema, type EngineConfig } from "../../../schemas/config.js";
import { isSluiceError, type ErrorCode } from "../../../schemas/errors.js";
import { noise, withFolder } from "../../conformance/engine.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { smallNetProbabilities, type SmallNet } from "../../fixtures/small-net.js";

const IMAGE_BYTES = 16 * 16 * 3;
const config = (members: Partial<EngineConfig> = {}) => engineSchema.parse({ workers: 1, batch: 8, ...members });

async function refused(teacher: TeacherFiles, code: ErrorCode, message: RegExp, members: Partial<EngineConfig> = {}) {
  await assert.rejects(openEngine(teacher, config(members)), (error) => {
    assert.ok(isSluiceError(error, code), String(error));
    assert.match(error.message, message);
    return true;
  });
}

/** The last bits of each of `count` images, scored in batches of `size`. */
async function scoredInBatches(teacher: TeacherFiles, count: number, size: number) {
  const engine = await openEngine(teacher, config());
  try {
    const pixels = noise(3, count);
    const rows: number[] = [];
    for (let from = 0; from < count; from += size) {
      const part = pixels.slice(from * IMAGE_BYTES, (from + size) * IMAGE_BYTES);
      rows.push(...(await engine.score({ count: part.length / IMAGE_BYTES, pixels: part })));
    }
    return { rows, info: engine.info };
  } finally {
    await engine.close();
  }
}

describe("opening an engine", () => {
  for (const [coupling, batch] of [
    ["size", 8],
    ["neighbours", 1],
  ] as const) {
    test(`a model whose scores depend on ${coupling} gives the same bits in any batch, by runs of ${batch}`, async () => {
      await withFolder(async (folder) => {
        const net: Partial<SmallNet> = { coupling };
        const teacher = await writeSmallTeacher(folder, "onnx", net);
        const whole = await scoredInBatches(teacher, 13, 13);
        assert.equal(whole.info.batchInvariant, "padded");
        assert.equal(whole.info.batch, batch);
        for (const size of [1, 3, 8]) assert.deepEqual((await scoredInBatches(teacher, 13, size)).rows, whole.rows);
      });
    });
  }

  test("a model of fixed batch takes batches of any size", async () => {
    await withFolder(async (folder) => {
      const teacher = await writeSmallTeacher(folder, "onnx", { fixedBatch: 4 });
      const { rows, info } = await scoredInBatches(teacher, 11, 11);
      assert.deepEqual({ invariant: info.batchInvariant, batch: info.batch }, { invariant: "yes", batch: 4 });
      smallNetProbabilities({}, noise(3, 11), 11).forEach((probability, at) => {
        assert.ok(Math.abs(Math.exp(rows[at]!) - probability) < 1e-4);
      });
      for (const size of [1, 3, 5]) assert.deepEqual((await scoredInBatches(teacher, 11, size)).rows, rows);
      // The card need not know.
      const { width, height, layout, colour } = teacher.card.input;
      const input = { width, height, layout, colour };
      const unknowing = { folder, card: { ...teacher.card, input } };
      assert.deepEqual((await scoredInBatches(unknowing, 11, 5)).rows, rows);
      const wrong = { folder, card: { ...teacher.card, input: { ...input, fixedBatch: 5 } } };
      await refused(wrong, "E_ENGINE_SHAPE", /\[5 x 3 x 16 x 16\].*found \[4 x 3 x 16 x 16\]/);
    });
  });

  test("a card with the layout swapped is told so", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx");
      const swapped = { folder, card: { ...card, input: { ...card.input, layout: "NHWC" as const } } };
      await refused(swapped, "E_ENGINE_SHAPE", /\[\? x 3 x 16 x 16\] in the model.*input\.layout to NCHW/);
    });
  });

  test("an output that is not there is refused with the names of those that are", async () => {
    await withFolder(async (folder) => {
      for (const [format, found] of [
        ["onnx", /scores/],
        ["tfjs-layers", /dense/],
        ["tfjs-graph", /scores/],
      ] as const) {
        const { card } = await writeSmallTeacher(folder, format);
        const wrong = { folder, card: { ...card, output: { ...card.output, name: "absent" } } };
        await refused(wrong, "E_ENGINE_SHAPE", found, { backend: "auto" });
        await refused(wrong, "E_ENGINE_SHAPE", /absent/);
      }
    });
  });

  test("a file that is no model is refused", async () => {
    await withFolder(async (folder) => {
      for (const format of ["onnx", "tfjs-layers", "tfjs-graph"] as const) {
        const teacher = await writeSmallTeacher(folder, format);
        const path = join(folder, teacher.card.weights.files[0]!.path);
        const bytes = await readFile(path);
        await writeFile(path, bytes.subarray(0, bytes.length >> 1));
        await refused(teacher, "E_ENGINE_LOAD", new RegExp(`format ${format} at .*${folder}`));
      }
    });
  });

  test("an operator that the library does not have is named", async () => {
    await withFolder(async (folder) => {
      const teacher = await writeSmallTeacher(folder, "onnx");
      const model = encodeOnnx({
        name: "strange",
        inputs: [{ name: "image", dims: ["batch", 3, 16, 16] }],
        outputs: [{ name: "scores", dims: ["batch", 10] }],
        operators: [{ op: "Frobnicate", inputs: ["image"], output: "scores" }],
        constants: [],
      });
      await writeFile(join(folder, "model.onnx"), model);
      await refused(teacher, "E_ENGINE_LOAD", /Frobnicate/);
      const graph = await writeSmallTeacher(folder, "tfjs-graph");
      const json = await readFile(join(folder, "model.json"), "utf8");
      await writeFile(join(folder, "model.json"), json.replace('"Relu"', '"Frobnicate"'));
      await refused(graph, "E_ENGINE_LOAD", /Frobnicate/);
    });
  });

  test("a backend that is absent, or runs other formats, is refused, unless another one may be taken", async () => {
    await withFolder(async (folder) => {
      const teacher = await writeSmallTeacher(folder, "onnx");
      await refused(teacher, "E_ENGINE_UNAVAILABLE", /no such backend.*Here: .*cpu/, { backend: "abacus" });
      await refused(teacher, "E_ENGINE_UNAVAILABLE", /tfjs does not run/, { kind: "tfjs" });
      await refused(teacher, "E_ENGINE_UNAVAILABLE", /wasm/, { backend: "wasm" });
      const engine = await openEngine(teacher, config({ backend: "abacus", allowFallback: true }));
      try {
        assert.equal(engine.info.name, "onnxruntime-node");
        assert.notEqual(engine.info.backend, "abacus");
      } finally {
        await engine.close();
      }
    });
  });
});
