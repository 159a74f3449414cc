import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { classBalancedSampler, shuffledSampler, type Sampler } from "../../../operators/training/sampling.js";

const draws = (sampler: Sampler, batches: number): number[] =>
  Array.from({ length: batches }, () => [...sampler()]).flat();
const tally = (values: readonly number[]): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};
const labelArrays = fc
  .array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 60 })
  .map((labels) => Int32Array.from(labels));

test("the shuffled sampler gives each row once before any comes again", () => {
  fc.assert(
    fc.property(labelArrays, fc.integer({ min: 1, max: 9 }), fc.nat(), (labels, batch, seed) => {
      const drawn = draws(shuffledSampler({ labels, batch, seed }), Math.ceil((3 * labels.length) / batch));
      for (let pass = 0; pass < 3; pass++) {
        const rows = drawn.slice(pass * labels.length, (pass + 1) * labels.length);
        assert.deepEqual(
          rows.sort((a, b) => a - b),
          Array.from(labels, (_, row) => row),
        );
      }
    }),
  );
});

test("the class-balanced sampler gives every class its turn, and within a class every row", () => {
  fc.assert(
    fc.property(labelArrays, fc.integer({ min: 1, max: 9 }), fc.nat(), (labels, batch, seed) => {
      const classes = new Set(labels).size;
      const largest = Math.max(...tally([...labels]).values());
      const turns = 2 * largest;
      const drawn = draws(classBalancedSampler({ labels, batch, seed }), Math.ceil((turns * classes) / batch));
      const whole = drawn.slice(0, turns * classes);
      for (const [label, count] of tally(whole.map((row) => labels[row]!)))
        assert.equal(count, turns, `class ${label}`);
      // A class of m rows was drawn `turns` times: each of its rows as often as any other, give or take one.
      const rowCounts = tally(whole);
      const sizes = tally([...labels]);
      labels.forEach((label, row) => {
        const expected = turns / sizes.get(label)!;
        const found = rowCounts.get(row) ?? 0;
        assert.ok(found >= Math.floor(expected) && found <= Math.ceil(expected), `row ${row}: ${found} of ${expected}`);
      });
    }),
  );
});

test("the seed decides the order", () => {
  const labels = new Int32Array(50);
  for (const sampler of [shuffledSampler, classBalancedSampler]) {
    const order = (seed: number): string => draws(sampler({ labels, batch: 10, seed }), 5).join();
    assert.equal(order(1), order(1));
    assert.notEqual(order(1), order(2));
  }
});
