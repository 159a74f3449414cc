import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encodeOnnx, type OnnxOperator, type OnnxTensor } from "../../fixtures/onnx-file.js";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../../connectors/engine/open.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { addTeacher, type AddedTeacher, type CardChoices } from "../../../pipelines/training/add-teacher.js";
import { decodeSchema, engineSchema } from "../../../schemas/config.js";
import { isSluiceError, type ErrorCode } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { withFolder } from "../../conformance/engine.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { smallNetProbabilities, type SmallNet } from "../../fixtures/small-net.js";
import { squarePixels, writeSquare } from "../../fixtures/square-pictures.js";

const SIDE = 16;
const ENTRY: Readonly<Record<string, string>> = {
  onnx: "model.onnx",
  "tfjs-layers": "model.json",
  "tfjs-graph": "model.json",
};
const NORMALISE = { mean: [0.5, 0.4, 0.3], std: [0.25, 0.3, 0.35] };

/** A model as people have it: its files, and no card. */
async function bareModel(folder: string, format: ModelCard["format"], net: Partial<SmallNet> = {}): Promise<ModelCard> {
  const { card } = await writeSmallTeacher(folder, format, net);
  await rm(join(folder, "model-card.json"));
  return card;
}

const add = (
  model: string,
  choices: CardChoices = {},
  more: { readonly try?: string; readonly overwrite?: boolean } = {},
): Promise<AddedTeacher> =>
  addTeacher({
    model,
    choices,
    overwrite: more.overwrite === true,
    engine: engineSchema.parse({ workers: 1, batch: 4 }),
    decode: decodeSchema.parse({}),
    decoder: openSharpDecoder(),
    tryOn: more.try === undefined ? undefined : { folder: more.try, count: 5 },
  });

async function refused(adding: Promise<AddedTeacher>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(adding, (error) => {
    assert.ok(isSluiceError(error, code), String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("adding a teacher", () => {
  for (const format of ["onnx", "tfjs-layers", "tfjs-graph"] as const) {
    test(`${format}: the card is inferred, images are tried, and the card that is written runs`, async () => {
      await withFolder(async (folder) => {
        const expected = await bareModel(folder, format, { output: "logits" });
        const pictures = join(folder, "pictures");
        const pixels = [1, 2, 3].map((seed) => squarePixels(SIDE, seed));
        for (const [at, picture] of pixels.entries()) await writeSquare(pictures, `${at}.png`, SIDE, picture);
        await writeFile(join(pictures, "9-broken.png"), "no picture");
        const choices = { labels: expected.labels, normalise: NORMALISE, resize: { mode: "stretch" as const } };
        const added = await add(join(folder, ENTRY[format]!), choices, { try: pictures });
        const { input, output, labels, weights, normalise } = added.card;
        assert.deepEqual(
          { input, output, labels, weights, normalise },
          {
            input: expected.input,
            output: expected.output,
            labels: expected.labels,
            weights: expected.weights,
            normalise: NORMALISE,
          },
        );
        assert.deepEqual((await loadTeacher(join(folder, ENTRY[format]!))).card, added.card);

        assert.deepEqual(
          added.skipped.map(({ code }) => code),
          ["E_IMAGE_FORMAT"],
        );
        assert.equal(added.tried.length, 3);
        added.tried.forEach(({ uri, best }, at) => {
          assert.ok(uri.endsWith(`/${at}.png`));
          const truth = [...smallNetProbabilities({ output: "logits" }, pixels[at]!, 1)];
          const ranked = truth.map((p, index) => ({ p, label: `class-${index}` })).sort((a, b) => b.p - a.p);
          best.forEach(({ label, probability }, rank) => {
            assert.equal(label, ranked[rank]!.label);
            assert.ok(Math.abs(probability - ranked[rank]!.p) < 1e-4);
          });
        });
      });
    });
  }

  test("a model of fixed batch is taken, grey and probabilities are told, and noise tries it", async () => {
    await withFolder(async (folder) => {
      await bareModel(folder, "onnx", { fixedBatch: 4, colour: "grey" });
      await writeFile(join(folder, "model.labels.txt"), Array.from({ length: 10 }, (_, at) => `name ${at}`).join("\n"));
      const { card, cardPath, tried } = await add(join(folder, "model.onnx"));
      assert.deepEqual(card.input, { width: SIDE, height: SIDE, layout: "NCHW", colour: "grey", fixedBatch: 4 });
      assert.equal(card.output.kind, "probabilities");
      assert.equal(card.labels[3], "name 3");
      assert.equal(cardPath, join(folder, "model.card.json"));
      assert.deepEqual(tried, []);
    });
  });

  test("what other tools say beside the model and in it is read, and said with its source", async () => {
    await withFolder(async (folder) => {
      await bareModel(folder, "onnx");
      const json = (name: string, value: object): Promise<void> => writeFile(join(folder, name), JSON.stringify(value));
      const labels = Array.from({ length: 10 }, (_, at) => `bird ${at}`);
      await json("preprocessor_config.json", {
        image_processor_type: "ViTImageProcessor",
        size: { height: SIDE, width: SIDE },
        resample: 3,
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
      });
      await json("config.json", { model_type: "vit", id2label: Object.fromEntries(labels.entries()) });
      const { card, assumptions } = await add(join(folder, "model.onnx"));
      assert.deepEqual(card.normalise, { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
      assert.deepEqual(card.resize, { ...card.resize, mode: "stretch", kernel: "cubic" });
      assert.deepEqual(card.labels, labels);
      assert.match(
        assumptions.join("\n"),
        /Pixels .* from preprocessor_config\.json\.\n.* \(cubic, from preprocessor_config\.json\)/,
      );
      assert.match(assumptions.join("\n"), /Classes are named by config\.json/);
      assert.doesNotMatch(assumptions.join("\n"), /assumed/);

      await json("preprocessor_config.json", { image_mean: [0.5], image_std: [0.5], size: 300, do_normalize: true });
      await refused(
        add(join(folder, "model.onnx"), {}, { overwrite: true }),
        "E_ENGINE_SHAPE",
        /300 x 300 px .* preprocessor_config\.json says, found 16 x 16/,
      );
      await json("preprocessor_config.json", { image_mean: [0.5], image_std: [0.5], size: SIDE, resample: 9 });
      await refused(
        add(join(folder, "model.onnx"), {}, { overwrite: true }),
        "E_TEACHER_CARD",
        /resample 9 in preprocessor_config\.json/,
      );
      const chosen = { resize: { mode: "stretch" as const, kernel: "linear" as const } };
      assert.equal((await add(join(folder, "model.onnx"), chosen, { overwrite: true })).card.resize.kernel, "linear");
    });
  });

  test("another tool's model-card.json is not overwritten", async () => {
    await withFolder(async (folder) => {
      await bareModel(folder, "onnx");
      const foreign = JSON.stringify({ model_details: { name: "x" } });
      await writeFile(join(folder, "model-card.json"), foreign);
      const { cardPath, assumptions } = await add(folder, {}, { overwrite: true });
      assert.equal(cardPath, join(folder, "model.card.json"));
      assert.match(assumptions.join("\n"), /model-card\.json is JSON of another tool \(model_details\)/);
      assert.equal(await readFile(join(folder, "model-card.json"), "utf8"), foreign);
      assert.equal((await loadTeacher(folder)).cardPath, cardPath);
    });
  });

  for (const [name, type, tolerance] of [
    ["float16", 10, 0.02],
    ["uint8", 2, 1e-5],
  ] as const) {
    test(`a model of ${name} scores as its float32 sister does`, async () => {
      await withFolder(async (folder) => {
        // To a uint8 model the pixels go as they are: 1 / 255 is its own first step.
        const bytes = type === 2;
        const normalise = bytes ? { mean: [0], std: [1 / 255] } : NORMALISE;
        const scores: Float32Array[] = [];
        for (const own of [1, type]) {
          const model = meansOfColours(own, own === 1 ? 1 : bytes ? 1 : own);
          await writeFile(join(folder, "model.onnx"), model);
          const { card } = await add(join(folder, "model.onnx"), own === 2 ? {} : { normalise }, { overwrite: true });
          assert.deepEqual(card.normalise.std, normalise.std);
          const engine = await openEngine({ card, folder }, engineSchema.parse({ workers: 1, batch: 4 }));
          scores.push(
            await engine.score({
              count: 3,
              pixels: Uint8Array.from([1, 2, 3].flatMap((seed) => [...squarePixels(SIDE, seed)])),
            }),
          );
          await engine.close();
        }
        assert.equal(scores[1]!.length, 9);
        scores[0]!.forEach((expected, at) => {
          assert.ok(
            Math.abs(scores[1]![at]! - expected) <= tolerance * Math.max(1, Math.abs(expected)),
            `${scores[1]![at]} for ${expected}`,
          );
        });
        if (bytes) {
          const card = { ...(await loadTeacher(join(folder, "model.onnx"))).card, normalise: NORMALISE };
          await assert.rejects(
            openEngine({ card, folder }, engineSchema.parse({ workers: 1 })),
            /input image is uint8.*--normalise bytes/s,
          );
        }
      });
    });
  }

  test("a card that is there stays, unless it may be written anew", async () => {
    await withFolder(async (folder) => {
      await writeSmallTeacher(folder, "onnx");
      await refused(add(folder), "E_TEACHER_CARD", /no card yet.*--overwrite/);
      const { card } = await add(folder, { name: "anew" }, { overwrite: true });
      assert.equal((await loadTeacher(folder)).card.name, card.name);
    });
  });
});

describe("a model that cannot be a teacher is refused with its reason, and no card is written", () => {
  const cases: readonly (readonly [string, (folder: string) => Promise<AddedTeacher>, ErrorCode, RegExp])[] = [
    [
      "a tfjs model of which nobody says how its pixels look",
      async (folder) => {
        await bareModel(folder, "tfjs-layers");
        return add(folder);
      },
      "E_TEACHER_CARD",
      /0 to 1, -1 to 1 or 0 to 255.*--normalise/,
    ],
    [
      "labels of another length",
      async (folder) => {
        await bareModel(folder, "onnx");
        return add(folder, { labels: ["a", "b"] });
      },
      "E_TEACHER_LABELS",
      /Expected 10 labels.*found 2/,
    ],
    [
      "another size than the model's",
      async (folder) => {
        await bareModel(folder, "onnx");
        return add(folder, { width: 20, height: 20 });
      },
      "E_ENGINE_SHAPE",
      /20 x 20.*16 x 16/,
    ],
    [
      "another layout than the model's",
      async (folder) => {
        await bareModel(folder, "onnx");
        return add(folder, { layout: "NHWC" });
      },
      "E_ENGINE_SHAPE",
      /Expected the input.*NHWC.*found \[\? x 3 x 16 x 16\]/,
    ],
    [
      "NaN scores",
      async (folder) => {
        await bareModel(folder, "onnx", { nanClass: 3, output: "logits" });
        return add(folder);
      },
      "E_IMAGE_SCORES",
      /finite scores.*NaN for class 3/,
    ],
    [
      "the same score for every class",
      (folder) => addCrafted(folder, [0, 0, 0]),
      "E_IMAGE_SCORES",
      /same score, 0, for every class/,
    ],
    [
      "the same scores for every image",
      (folder) => addCrafted(folder, [1, 2, 3]),
      "E_IMAGE_SCORES",
      /same scores for all of 2/,
    ],
    [
      "an operator that the library does not have",
      (folder) => addCrafted(folder, [1, 2, 3], { op: "Frobnicate", inputs: ["image"], output: "flat" }),
      "E_ENGINE_LOAD",
      /Frobnicate/,
    ],
    [
      "a file that is broken off",
      async (folder) => {
        await bareModel(folder, "onnx");
        await truncate(join(folder, "model.onnx"), 700);
        return add(folder);
      },
      "E_ENGINE_LOAD",
      /format onnx/,
    ],
    [
      "weights that are broken off",
      async (folder) => {
        await bareModel(folder, "tfjs-layers");
        const { length } = await readFile(join(folder, "weights.bin"));
        await truncate(join(folder, "weights.bin"), length >> 1);
        return add(folder, { normalise: NORMALISE });
      },
      "E_ENGINE_LOAD",
      /format tfjs-layers/,
    ],
    [
      "weights that are not there",
      async (folder) => {
        await bareModel(folder, "tfjs-layers");
        await rename(join(folder, "weights.bin"), join(folder, "weights (1).bin"));
        return add(folder, { normalise: NORMALISE });
      },
      "E_TEACHER_WEIGHTS",
      /weights weights\.bin, which model\.json names, at .*weights\.bin, found none of that name \(there is weights \(1\)\.bin\)\. Copy it/,
    ],
    [
      "a SavedModel of which a part of the variables is not there",
      async (folder) => {
        await mkdir(join(folder, "variables"));
        await writeFile(join(folder, "saved_model.pb"), "");
        for (const name of ["variables.index", "variables.data-00000-of-00002"])
          await writeFile(join(folder, "variables", name), "");
        return add(folder, { normalise: NORMALISE });
      },
      "E_TEACHER_WEIGHTS",
      /variables\/variables\.data-00001-of-00002, which saved_model\.pb names/,
    ],
    [
      "an output that is not there",
      async (folder) => {
        await bareModel(folder, "onnx");
        return add(folder, { outputName: "absent" });
      },
      "E_ENGINE_SHAPE",
      /named absent.*found scores/,
    ],
    [
      "a file of another library",
      async (folder) => {
        await writeFile(join(folder, "model.pth"), "PK");
        return add(join(folder, "model.pth"));
      },
      "E_TEACHER_CARD",
      /PyTorch.*torch\.onnx\.export/,
    ],
    ["an empty folder", (folder) => add(folder), "E_TEACHER_CARD", /folder without any \(empty\)/],
    [
      "a folder without images to try it on",
      async (folder) => {
        await bareModel(folder, "onnx");
        await mkdir(join(folder, "nothing"));
        return add(folder, {}, { try: join(folder, "nothing") });
      },
      "E_SOURCE_READ",
      /images to try/,
    ],
  ];
  for (const [what, adding, code, message] of cases) {
    test(what, async () => {
      await withFolder(async (folder) => {
        await refused(adding(folder), code, message);
        for (const card of ["model-card.json", "model.card.json"]) assert.ok(!existsSync(join(folder, card)), card);
      });
    });
  }
});

/** Means of the channels, three times over: `input` and `output` are the ends' types. */
function meansOfColours(input: number, output: number): Uint8Array {
  return encodeOnnx({
    name: "means",
    inputs: [{ name: "image", dims: ["batch", 3, SIDE, SIDE], type: input }],
    outputs: [{ name: "scores", dims: ["batch", 3], type: output }],
    operators: [
      { op: "Cast", inputs: ["image"], output: "values", attributes: { to: 1 } },
      { op: "GlobalAveragePool", inputs: ["values"], output: "pooled" },
      { op: "Flatten", inputs: ["pooled"], output: "flat", attributes: { axis: 1 } },
      { op: "Gemm", inputs: ["flat", "weights", "biases"], output: "raw" },
      { op: "Cast", inputs: ["raw"], output: "scores", attributes: { to: output } },
    ],
    constants: [
      { name: "weights", dims: [3, 3], values: Float32Array.of(3, -1, 0.5, -2, 1, 0.25, 0, 2, -1) },
      { name: "biases", dims: [3], values: Float32Array.of(0.1, 0.2, -0.3) },
    ],
  });
}

/** A net that flattens the image and multiplies it with nothing: its scores are its biases. */
async function addCrafted(
  folder: string,
  biases: readonly number[],
  first: OnnxOperator = { op: "Flatten", inputs: ["image"], output: "flat", attributes: { axis: 1 } },
): Promise<AddedTeacher> {
  const classes = biases.length;
  const constants: OnnxTensor[] = [
    { name: "zeros", dims: [3 * SIDE * SIDE, classes], values: new Float32Array(3 * SIDE * SIDE * classes) },
    { name: "biases", dims: [classes], values: Float32Array.from(biases) },
  ];
  const model = encodeOnnx({
    name: "crafted",
    inputs: [{ name: "image", dims: ["batch", 3, SIDE, SIDE] }],
    outputs: [{ name: "scores", dims: ["batch", classes] }],
    operators: [first, { op: "Gemm", inputs: ["flat", "zeros", "biases"], output: "scores" }],
    constants,
  });
  await writeFile(join(folder, "model.onnx"), model);
  return add(folder);
}
