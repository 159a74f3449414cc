import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { encodeOnnx, type OnnxOperator, type OnnxTensor } from "../../../../bench/models/onnx-file.js";
import { foldNormalise } from "../../../../connectors/engine/onnx/fold-normalise.js";
import { loadOnnx } from "../../../../connectors/engine/onnx/onnx-runner.js";
import { bytes, fieldsOf, integer, message, text } from "../../../../connectors/engine/onnx/protobuf.js";
import { channelsOf, type ModelCard } from "../../../../schemas/model-card.js";
import { pixelBytes, toTensor } from "../../../../schemas/pixels.js";
import { writeSmallTeacher } from "../../../fixtures/models.js";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-fold-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const WIDTH = 3;
const HEIGHT = 2;

interface Shape {
  readonly layout: "NCHW" | "NHWC";
  readonly colour: ModelCard["input"]["colour"];
}

const sizes = ({ layout, colour }: Shape): number[] => {
  const channels = colour === "grey" ? 1 : 3;
  return layout === "NCHW" ? [channels, HEIGHT, WIDTH] : [HEIGHT, WIDTH, channels];
};

/** A model that gives back what it was given, one row an image: its scores are its tensor. */
function mirror(shape: Shape, batch: number | string = "batch"): Uint8Array {
  const operators: OnnxOperator[] = [{ op: "Flatten", inputs: ["image"], output: "scores", attributes: { axis: 1 } }];
  const values = sizes(shape).reduce((product, size) => product * size, 1);
  return encodeOnnx({
    name: "mirror",
    inputs: [{ name: "image", dims: [batch, ...sizes(shape)] }],
    outputs: [{ name: "scores", dims: [batch, values] }],
    operators,
    constants: [],
  });
}

function cardOf(shape: Shape, normalise: ModelCard["normalise"], file: string): ModelCard {
  const input = { width: WIDTH, height: HEIGHT, ...shape };
  return {
    schemaVersion: 1,
    name: "mirror",
    format: "onnx",
    weights: { sha256: "0".repeat(64), files: [{ path: file, sha256: "0".repeat(64), sizeBytes: 1 }] },
    input,
    resize: { kernel: "linear", mode: "crop", shrinkOnLoad: false },
    normalise,
    output: { kind: "logits" },
    labels: Array.from({ length: pixelBytes(input) }, (_, at) => `value ${at}`),
    temperature: 1,
  };
}

const numbers = (least: number, most: number) =>
  fc.oneof(
    fc.array(fc.double({ min: least, max: most, noNaN: true }), { minLength: 3, maxLength: 3 }),
    fc.array(fc.double({ min: least, max: most, noNaN: true }), { minLength: 1, maxLength: 1 }),
  );

test("a folded model is given pixels, and sees the tensor that the card says", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Shape>(
        { layout: "NCHW", colour: "rgb" },
        { layout: "NCHW", colour: "bgr" },
        { layout: "NCHW", colour: "grey" },
        { layout: "NHWC", colour: "rgb" },
        { layout: "NHWC", colour: "grey" },
      ),
      numbers(-1, 1),
      numbers(0.01, 2),
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(fc.nat({ max: 255 })),
      async (shape, mean, std, count, values) => {
        const file = `mirror-${run++}.onnx`;
        const card = cardOf(shape, { mean, std }, file);
        await writeFile(join(folder, file), mirror(shape));
        const pixels = Uint8Array.from({ length: count * pixelBytes(card.input) }, () => values.next().value as number);
        const runner = await loadOnnx({ kind: "onnx", backend: "cpu", card, folder, threads: 1 }, "cpu");
        try {
          assert.equal(runner.takes, "pixels");
          const found = (await runner.run(pixels, count)).values;
          const expected = toTensor({ count, pixels }, card);
          assert.equal(found.length, expected.length);
          for (const [at, value] of expected.entries()) {
            const span = 1 / Math.min(...std);
            assert.ok(Math.abs(found[at]! - value) <= 4e-7 * span * 2, `${at}: ${found[at]!}, expected ${value}`);
          }
        } finally {
          await runner.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a fixed batch stays fixed, and dimensions are those of the model", () => {
  const shape: Shape = { layout: "NCHW", colour: "rgb" };
  const card = cardOf(shape, { mean: [0], std: [1] }, "x.onnx");
  assert.deepEqual(foldNormalise(mirror(shape, 4), card)?.dims, [4, 3, HEIGHT, WIDTH]);
  assert.deepEqual(foldNormalise(mirror(shape), card)?.dims, [null, 3, HEIGHT, WIDTH]);
});

test("what cannot surely be folded is given tensors, with the same scores", async () => {
  const { card } = await writeSmallTeacher(folder, "onnx");
  const path = join(folder, card.weights.files[0]!.path);
  const model = await readFile(path);
  assert.equal((await opened(card)).takes, "pixels");

  const fields = [...fieldsOf(model)];
  const withOpset = (version: number): Uint8Array =>
    message(
      ...fields.map((field) =>
        field.number === 8 ? bytes(8, message(text(1, ""), integer(2, version))) : field.encoded,
      ),
    );
  const constant: OnnxTensor = { name: "more", dims: [1], values: Float32Array.of(1) };
  const end = (name: string) => ({ name, dims: ["batch", 3, 4, 4] });
  const twoInputs = encodeOnnx({
    name: "two",
    inputs: [end("a"), end("b")],
    outputs: [end("c")],
    operators: [{ op: "Add", inputs: ["a", "b"], output: "c" }],
    constants: [constant],
  });
  const graph = fields.find(({ number }) => number === 7)!;
  const outside = bytes(5, message(text(8, "outside"), integer(14, 1)));
  const refused: Readonly<Record<string, Uint8Array>> = {
    "operators of an old version": withOpset(6),
    "two inputs": twoInputs,
    "constants in another file": message(
      bytes(7, message(graph.content, outside)),
      ...fields.filter((f) => f !== graph).map((f) => f.encoded),
    ),
    "no model": Buffer.from("<html>not found</html>"),
    "a cut file": model.subarray(0, model.length - 7),
    "no bytes": new Uint8Array(0),
  };
  for (const [name, bytesOf] of Object.entries(refused)) assert.equal(foldNormalise(bytesOf, card), null, name);
  const turned = { ...card, input: { ...card.input, layout: "NHWC", colour: "bgr" } } as const;
  assert.equal(foldNormalise(model, turned), null);

  // The small net's constants listed in a second file: the model is then loaded by its path, and given tensors.
  const split = { ...card, weights: { ...card.weights, files: [...card.weights.files, ...card.weights.files] } };
  const [folded, plain] = [await opened(card), await opened(split)];
  assert.equal(plain.takes, "tensor");
  const pixels = Uint8Array.from({ length: 2 * pixelBytes(card.input) }, (_, at) => Math.imul(at, 2654435761) >>> 24);
  assert.equal(pixels.length, 2 * card.input.width * card.input.height * channelsOf(card.input));
  const expected = (await plain.run(toTensor({ count: 2, pixels }, card), 2)).values;
  const found = (await folded.run(pixels, 2)).values;
  for (const [at, value] of expected.entries()) assert.ok(Math.abs(found[at]! - value) < 1e-5);
  await Promise.all([folded.close(), plain.close()]);
});

const opened = (card: ModelCard) => loadOnnx({ kind: "onnx", backend: "cpu", card, folder, threads: 1 }, "cpu");
