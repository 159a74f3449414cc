import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeOnnx } from "../../../fixtures/onnx-file.js";
import { readOnnx } from "../../../../connectors/engine/model-file/read-onnx.js";
import { kindFromGraph, kindFromTrials } from "../../../../connectors/engine/teacher/output-kind.js";

const softmax = (logits: readonly number[]): number[] => {
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / total);
};
const logits = [
  [1.5, -2, 0.3, 4],
  [0.1, 0.2, 0.7, -0.1],
  [9, -3, 2, 2],
];
const rowsOf = (of: (row: readonly number[]) => readonly number[]): Float32Array[] =>
  logits.map((row) => Float32Array.from(of(row)));

test("trial runs tell logits, log-softmax, softmax, a softmax of 8 bits and sigmoids apart", () => {
  const known: readonly (readonly [(row: readonly number[]) => readonly number[], string, RegExp])[] = [
    [(row) => row, "logits", /did not sum to 1/],
    [(row) => softmax(row).map(Math.log), "logits", /logarithms of probabilities/],
    [softmax, "probabilities", /summed to 1/],
    [(row) => softmax(row).map((p) => Math.round(p * 256) / 256), "probabilities", /8 bits|summed to 1/],
    // Rounded down, as a fixed-point softmax does: three of four lose up to 1/256.
    [(row) => softmax(row).map((p) => Math.floor(p * 255) / 255), "probabilities", /8 bits/],
    [(row) => row.map((logit) => 1 / (1 + Math.exp(-logit))), "sigmoid", /between 0 and 1/],
  ];
  for (const [of, kind, from] of known) {
    const told = kindFromTrials(rowsOf(of), "model");
    assert.equal(told.kind, kind);
    assert.match(told.from, from);
  }
});

test("the last operators go before trial runs, through what leaves scores as they are", () => {
  const endOf = (...ops: readonly string[]): ReturnType<typeof kindFromGraph> => {
    const operators = ["GlobalAveragePool", ...ops].map((op, at) => ({
      op,
      inputs: [at === 0 ? "image" : `v${at - 1}`],
      output: at === ops.length ? "scores" : `v${at}`,
    }));
    const ends = (name: string) => [{ name, dims: ["n", 3, 4, 4] }];
    const model = { name: "ends", inputs: ends("image"), outputs: ends("scores"), operators, constants: [] };
    return kindFromGraph(readOnnx(encodeOnnx(model)).graph.operators, "scores");
  };
  assert.equal(endOf("Softmax")?.kind, "probabilities");
  assert.equal(endOf("Softmax", "Cast", "Flatten", "DequantizeLinear")?.kind, "probabilities");
  assert.equal(endOf("Sigmoid", "Identity")?.kind, "sigmoid");
  assert.equal(endOf("LogSoftmax")?.kind, "logits");
  assert.equal(endOf("Sigmoid", "Gemm")?.kind, "logits");
  assert.equal(endOf("Softmax", "Mystery"), null);
});
