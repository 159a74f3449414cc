import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_GATE, judgeGate } from "../../../operators/training/gate.js";
import type { PairedComparison } from "../../../operators/training/paired-comparison.js";

const LABELS = ["cat", "dog", "fox"];

function comparison(difference: number, p: number): PairedComparison {
  const interval = { low: difference - 0.01, high: difference + 0.01, confidence: 0.95 };
  return { count: 1000, gained: 0, lost: 0, difference, interval, p };
}

function judged(difference: number, p: number, model: (number | null)[], teacher: (number | null)[]) {
  const facts = { comparison: comparison(difference, p), model: { recall: model }, teacher: { recall: teacher } };
  return judgeGate({ ...facts, labels: LABELS }, DEFAULT_GATE);
}

test("a model that is better with 95 % confidence, and no class much worse, passes", () => {
  assert.deepEqual(judged(0.03, 0.05, [0.9, 0.75, 1], [0.8, 0.8, 0.9]), { passes: true, reasons: [] });
});

test("each way to fail is said with its figures", () => {
  const [chance] = judged(0.01, 0.2, [1, 1, 1], [1, 1, 1]).reasons;
  assert.match(chance!, /1\.0 points more .* p = 0\.20: at most 0\.050 is asked for/);
  assert.match(judged(-0.02, 0.001, [1, 1, 1], [1, 1, 1]).reasons[0]!, /2\.0 points fewer/);
  assert.match(judged(0, 1, [1, 1, 1], [1, 1, 1]).reasons[0]!, /as many test images/);
  const fallen = judged(0.03, 0.001, [0.7, 0.6, 1], [0.8, 0.9, 0.9]);
  assert.deepEqual(fallen.reasons, ["Recall falls by more than 5.0 points in classes: dog by 30.0, cat by 10.0."]);
  assert.equal(fallen.passes, false);
});

test("a class without test images is no reason", () => {
  assert.equal(judged(0.03, 0.001, [null, 0.9, 1], [null, 0.9, 0.9]).passes, true);
});
