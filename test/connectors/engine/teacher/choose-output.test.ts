import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chooseOutput,
  type OutputChoice,
  type TriedOutput,
} from "../../../../connectors/engine/teacher/choose-output.js";
import { isSluiceError } from "../../../../schemas/errors.js";

const output = (name: string, dims: readonly number[], type = "float32"): TriedOutput => ({
  name,
  type,
  dims,
  values: type.startsWith("float") ? new Float32Array(dims.reduce((a, b) => a * b, 1)) : null,
});
const features = output("features", [1, 3]);
const classes = output("head", [1, 4]);

function chosen(outputs: readonly TriedOutput[], choice: OutputChoice = {}): string {
  return chooseOutput(outputs, 1, "model", choice).output.name;
}

function refusedFor(outputs: readonly TriedOutput[], choice: OutputChoice, ...said: readonly RegExp[]): void {
  assert.throws(
    () => chosen(outputs, choice),
    (error) => {
      assert.ok(isSluiceError(error));
      for (const words of said) assert.match(error.message, words);
      return true;
    },
  );
}

test("of several outputs the one is taken that was asked for, that fits the labels, or whose name says it", () => {
  assert.equal(chosen([features, classes], { outputName: "head" }), "head");
  assert.equal(chosen([features, classes], { labelCount: 4 }), "head");
  assert.equal(chosen([features, output("logits", [1, 4])]), "logits");
  assert.equal(chosen([output("label", [1], "int64"), output("map", [], "seq or map"), classes]), "head");
  assert.equal(chosen([output("hidden", [1, 50, 768]), output("pooled", [1, 4, 1, 1])]), "pooled");
});

test("where nothing tells, all of them are named", () => {
  refusedFor([features, classes], {}, /features \(3 values\), head \(4 values\)/, /--output/);
  refusedFor([features, classes], { labelCount: 7 }, /--output/);
  refusedFor([features, output("other", [1, 3])], { labelCount: 3 }, /--output/);
  refusedFor([features], { outputName: "absent" }, /named absent.*features/);
});

test("what holds no scores of classes is refused with the reason", () => {
  refusedFor([output("p", [1, 1])], {}, /one value an image.*torch\.cat/s);
  refusedFor([output("p", [1])], {}, /one value an image/);
  refusedFor([output("label", [1], "int64")], {}, /numbers of classes, no scores.*ArgMax/);
  refusedFor([output("probabilities", [], "seq or map")], {}, /zipmap/);
  refusedFor([output("boxes", [1, 84, 8400])], {}, /a table an image/);
});
