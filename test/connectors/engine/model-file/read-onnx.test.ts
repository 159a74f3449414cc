import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeOnnx, type OnnxOperator, type OnnxTensor } from "../../../fixtures/onnx-file.js";
import { innerNormalise } from "../../../../connectors/engine/model-file/inner-normalise.js";
import { foreignBytes } from "../../../../connectors/engine/model-file/foreign-bytes.js";
import { readOnnx } from "../../../../connectors/engine/model-file/read-onnx.js";
import { bytes, integer, message, text } from "../../../fixtures/protobuf-writer.js";

test("every file that tensors lie in is found: constants, subgraphs, attributes, sparse ones, functions, training", () => {
  const tensor = (location: string): Uint8Array =>
    message(text(8, "w"), bytes(13, message(text(1, "location"), text(2, location))), integer(14, 1));
  const attribute = (field: number, content: Uint8Array): Uint8Array =>
    bytes(5, message(text(1, "a"), bytes(field, content)));
  const branch = message(
    bytes(5, tensor("branch.bin")),
    bytes(1, message(text(4, "If"), attribute(6, message(bytes(5, tensor("inner.bin")))))),
  );
  const graph = message(
    bytes(1, message(text(4, "Constant"), attribute(5, tensor("constant.bin")))),
    bytes(1, message(text(4, "If"), attribute(6, branch), attribute(11, message(bytes(5, tensor("graphs.bin")))))),
    bytes(
      1,
      message(
        text(4, "Op"),
        attribute(10, tensor("tensors.bin")),
        attribute(22, message(bytes(1, tensor("sparse-attribute.bin")))),
      ),
    ),
    bytes(5, tensor("weights.bin")),
    bytes(5, tensor("weights.bin")),
    bytes(5, tensor("*/_ORT_MEM_ADDR_/*")),
    bytes(15, message(bytes(1, tensor("values.bin")), bytes(2, tensor("folder/indices.bin")))),
  );
  const model = message(
    bytes(7, graph),
    bytes(20, message(bytes(1, message(bytes(5, tensor("training.bin")))))),
    bytes(25, message(bytes(7, message(text(4, "Constant"), attribute(5, tensor("function.bin")))))),
  );
  assert.deepEqual([...readOnnx(model).externalFiles].sort(), [
    "branch.bin",
    "constant.bin",
    "folder/indices.bin",
    "function.bin",
    "graphs.bin",
    "inner.bin",
    "sparse-attribute.bin",
    "tensors.bin",
    "training.bin",
    "values.bin",
    "weights.bin",
  ]);
});

test("a normalisation inside of the graph is recognised, by the values that it takes", () => {
  const inside = (
    steps: readonly Omit<OnnxOperator, "output" | "inputs">[],
    constants: Record<string, readonly number[]>,
    type = 1,
  ) => {
    const operators = [...steps, { op: "Conv", attributes: {} }].map((step, at, all): OnnxOperator => {
      const { named = [], ...attributes } = (step.attributes ?? {}) as Record<string, never> & {
        named?: readonly string[];
      };
      return {
        op: step.op,
        attributes,
        inputs: [at === 0 ? "image" : `v${at - 1}`, ...named],
        output: at === all.length - 1 ? "scores" : `v${at}`,
      };
    });
    const tensors = Object.entries(constants).map(([name, values]): OnnxTensor => ({
      name,
      dims: values.length === 1 ? [] : [1, 3, 1, 1],
      values: Float32Array.from(values),
    }));
    const ends = (name: string, own: number) => [{ name, dims: ["n", 3, 8, 8], type: own }];
    const model = {
      name: "inside",
      inputs: ends("image", type),
      outputs: ends("scores", 1),
      operators,
      constants: tensors,
    };
    const told = innerNormalise(readOnnx(encodeOnnx(model)).graph);
    if (told === null) return null;
    return told.normalise.std[0] === 1 ? "unit" : "bytes";
  };
  const step = (op: string, ...named: readonly string[]) => ({ op, attributes: { named } as never });
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  assert.equal(inside([step("Sub", "mean"), step("Div", "std")], { mean, std }), "unit");
  assert.equal(
    inside([step("Cast"), step("Transpose"), step("Div", "d"), step("Sub", "mean"), step("Div", "std")], {
      d: [255],
      mean,
      std,
    }),
    "bytes",
  );
  assert.equal(inside([step("Mul", "a"), step("Add", "b")], { a: [1 / 127.5], b: [-1] }), "bytes");
  assert.equal(inside([step("Mul", "a"), step("Sub", "b")], { a: [2], b: [1] }), "unit");
  assert.equal(inside([step("Mul", "a")], { a: [1 / 255] }), "bytes");
  assert.equal(inside([step("Sub", "mean")], { mean: [123.68, 116.779, 103.939] }), "bytes");
  assert.equal(
    inside([step("BatchNormalization", "one", "zero", "mean", "variance")], {
      one: [1, 1, 1.0001],
      zero: [0, 0, 0.0001],
      mean: [120, 110, 100],
      variance: [3600, 3400, 3000],
    }),
    "bytes",
  );
  assert.equal(inside([step("Relu")], {}, 2), "bytes", "uint8");
  assert.equal(inside([], {}), null);
  assert.equal(inside([step("Relu")], {}), null);
  // A layer that scales what was normalised outside
  assert.equal(inside([step("Mul", "a")], { a: [1.1, 0.9, 1] }), null);
});

test("files that are no models are named with what to do", () => {
  const head = (bytes: string | readonly number[]): Uint8Array =>
    typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Uint8Array.from(bytes);
  const known: readonly (readonly [string | readonly number[], RegExp])[] = [
    ["", /empty/],
    ["version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", /git lfs pull/],
    ["\n<!DOCTYPE html><html>", /web page/],
    ["\x89HDF\r\n", /HDF5.*model\.export/],
    ["PK\x03\x04..archive/data.pkl", /torch\.onnx\.export/],
    ["PK\x03\x04........metadata.json", /\.keras/],
    ["\x80\x02}q\x00", /pickle .*which is never loaded/],
    ['\x40\x00\x00\x00\x00\x00\x00\x00{"__metadata__"', /safetensors/],
    ["\x1c\x00\x00\x00TFL3", /Lite/],
    ["\x1c\x00\x00\x00ORTM", /\.ort/],
    ['{"modelTopology": 1}', /JSON/],
  ];
  for (const [bytes, said] of known) assert.match(foreignBytes(head(bytes)) ?? "nothing", said);
  assert.equal(foreignBytes(encodeOnnx({ name: "m", inputs: [], outputs: [], operators: [], constants: [] })), null);
});
