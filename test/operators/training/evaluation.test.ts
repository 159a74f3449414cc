import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  classCounts,
  evaluatePredictions,
  predictedClasses,
  tailClasses,
  tailRecall,
} from "../../../operators/training/evaluation.js";

test("accuracy, recall and confusion of a worked example", () => {
  const truth = Int32Array.of(0, 0, 0, 0, 1, 1, 2);
  const predicted = Int32Array.of(0, 0, 0, 1, 1, 0, 0);
  const evaluation = evaluatePredictions(predicted, truth, 4);
  assert.equal(evaluation.accuracy, 4 / 7);
  assert.deepEqual(evaluation.recall, [0.75, 0.5, 0, null]);
  assert.equal(evaluation.meanRecall, 1.25 / 3);
  assert.deepEqual([...evaluation.confusion], [3, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
  // Training images 40, 30, 2, 5: the tail is classes 2 and 3, of which only 2 has test images.
  assert.equal(tailRecall(evaluation, [40, 30, 2, 5]), 0);
  assert.equal(tailRecall(evaluation, [2, 5, 40, 30]), 0.625);
  assert.equal(tailRecall(evaluation, [40, 30, 20, 1]), 0);
});

test("the tail is the rarer half, without the middle one, ties to the lower index", () => {
  assert.deepEqual(tailClasses([9, 1, 5]), [1]);
  assert.deepEqual(tailClasses([3, 3, 3, 3]), [0, 1]);
  assert.deepEqual(tailClasses([1, 9, 2, 8, 3, 7]), [0, 2, 4]);
});

test("figures agree with counting one image after the other", () => {
  const images = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })), { minLength: 1 });
  fc.assert(
    fc.property(images, (pairs) => {
      const truth = pairs.map(([label]) => label);
      const evaluation = evaluatePredictions(
        Int32Array.from(pairs, ([, predicted]) => predicted),
        Int32Array.from(truth),
        5,
      );
      assert.equal(
        evaluation.accuracy,
        pairs.filter(([label, predicted]) => label === predicted).length / pairs.length,
      );
      for (let label = 0; label < 5; label++) {
        const own = pairs.filter(([is]) => is === label);
        const right = own.filter(([, predicted]) => predicted === label).length;
        assert.equal(evaluation.recall[label], own.length === 0 ? null : right / own.length);
        for (let other = 0; other < 5; other++) {
          const count = own.filter(([, predicted]) => predicted === other).length;
          assert.equal(evaluation.confusion[label * 5 + other], count);
        }
      }
      assert.deepEqual(
        [...classCounts(Int32Array.from(truth), 5)],
        [0, 1, 2, 3, 4].map((label) => truth.filter((is) => is === label).length),
      );
    }),
  );
});

test("the predicted class has the greatest logit, the first of equals", () => {
  assert.deepEqual([...predictedClasses(Float32Array.of(1, 3, 2, -5, -1, -1, 0, 0, 0), 3)], [1, 1, 0]);
});

test("predictions that do not match the labels are refused", () => {
  assert.throws(() => evaluatePredictions(new Int32Array(2), new Int32Array(3), 2), /found 2 and 3/);
  assert.throws(() => evaluatePredictions(new Int32Array(0), new Int32Array(0), 2), RangeError);
});
