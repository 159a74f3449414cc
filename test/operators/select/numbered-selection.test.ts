import assert from "node:assert/strict";
import { test } from "node:test";
import { numberedSelection, parametersDigest, presentSelection } from "../../../operators/select/numbered-selection.js";
import { datasetSchema, selectionSchema } from "../../../schemas/dataset.js";

const before = { labels: ["cat", "dog", "crane", "crane"] };
const after = { labels: ["dog", "cat", "crane", "machine"], formerLabels: [before.labels] };

test("a selection by numbers does not depend on what classes are called", () => {
  const old = selectionSchema.parse({ k: { default: 9, classes: { cat: 3, "#3": 5 } } });
  const young = selectionSchema.parse({ k: { default: 9, classes: { dog: 3, machine: 5 } } });
  assert.deepEqual(numberedSelection(old, before), numberedSelection(young, after));
  // The same text means another class once names were exchanged: its states are others.
  const dataset = datasetSchema.parse({ name: "d", select: old });
  assert.notEqual(parametersDigest(dataset, "t", "s", before), parametersDigest(dataset, "t", "s", after));
});

test("a label map is its members by number; K by class counts the map's classes", () => {
  const select = selectionSchema.parse({
    labels: { bird: ["#2", "#3"], pet: ["cat", "dog"] },
    k: { default: 2, classes: { bird: 7 } },
  });
  const numbered = numberedSelection(select, before) as Record<string, unknown>;
  assert.deepEqual(numbered["labels"], [
    [0, 1],
    [2, 3],
  ]);
  assert.deepEqual(numbered["k"], { default: 2, classes: { "#1": 7 } });
});

test("what stands in a manifest calls classes what they are called now, by number where that is not clear", () => {
  const names = { labels: ["dog", "emu", "crane", "crane"], formerLabels: [["a", "b", "c", "d"]] };
  const select = selectionSchema.parse({ k: { default: 9, classes: { "#2": 3, a: 4, d: 5, emu: 6 } } });
  assert.deepEqual(presentSelection(select, names).k, {
    default: 9,
    classes: { "#2": 3, dog: 4, "#3": 5, emu: 6 },
  });
  const mapped = selectionSchema.parse({ labels: { __proto__x: ["cat"], rest: ["dog", "#3"] } });
  assert.deepEqual(presentSelection(mapped, after).labels, { __proto__x: ["cat"], rest: ["dog", "#3"] });
});
