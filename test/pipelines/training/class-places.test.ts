import assert from "node:assert/strict";
import { test } from "node:test";
import { classPlaces } from "../../../pipelines/training/class-places.js";
import { isSluiceError } from "../../../schemas/errors.js";

const card = (...labels: string[]) => ({ name: "model", labels });

test("classes are found by name, those of one name by their order", () => {
  assert.deepEqual(classPlaces(card("dog", "crane", "cat", "crane"), ["crane", "cat", "dog", "crane"]), [1, 2, 0, 3]);
  assert.deepEqual(classPlaces(card("crane", "crane"), ["crane", "crane"]), [0, 1]);
});

test("other classes, or one of a name more often, are refused", () => {
  for (const labels of [["dog"], ["dog", "dog"], ["dog", "bird"], ["dog", "cat", "cat"]]) {
    assert.throws(
      () => classPlaces(card("dog", "cat"), labels),
      (error) => isSluiceError(error, "E_TRAIN_DATA") && /that only one of them has/.test(error.message),
      labels.join(),
    );
  }
});
