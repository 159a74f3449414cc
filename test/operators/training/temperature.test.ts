import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { calibrationAt, fitTemperature, TEMPERATURE_RANGE } from "../../../operators/training/temperature.js";
import { SeededRandom } from "../../../operators/training/seeded-random.js";

const CLASSES = 5;

/** Logits, and classes drawn from what they mean at `temperature`. */
function drawn(count: number, temperature: number, seed: number): { logits: Float32Array; labels: Int32Array } {
  const random = new SeededRandom(seed);
  const uniform = (): number => (random.below(1 << 24) + 0.5) / (1 << 24);
  const logits = Float32Array.from({ length: count * CLASSES }, () => 12 * uniform() - 6);
  const labels = Int32Array.from({ length: count }, (_, row) => {
    const weights = Array.from(logits.subarray(row * CLASSES, (row + 1) * CLASSES), (z) => Math.exp(z / temperature));
    let left = uniform() * weights.reduce((a, b) => a + b);
    return Math.max(
      0,
      weights.findIndex((weight) => (left -= weight) < 0),
    );
  });
  return { logits, labels };
}

/** The definition, in plain loops. */
function nllOf(logits: Float32Array, labels: Int32Array, temperature: number): number {
  let sum = 0;
  labels.forEach((label, row) => {
    const scaled = Array.from(logits.subarray(row * CLASSES, (row + 1) * CLASSES), (z) => z / temperature);
    sum -= Math.log(Math.exp(scaled[label]!) / scaled.reduce((total, z) => total + Math.exp(z), 0));
  });
  return sum / labels.length;
}

test("the temperature that labels were drawn with is found", () => {
  for (const temperature of [0.5, 1, 2.5]) {
    const { logits, labels } = drawn(20_000, temperature, 3);
    const found = fitTemperature(logits, labels, CLASSES);
    assert.ok(Math.abs(found / temperature - 1) < 0.04, `${found} is not near ${temperature}`);
  }
});

test("no other temperature of the range has a smaller loss, whatever the set", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0.1, max: 8, noNaN: true }),
      (seed, count, drawnAt) => {
        const { logits, labels } = drawn(count, drawnAt, seed);
        const found = fitTemperature(logits, labels, CLASSES);
        const least = nllOf(logits, labels, found);
        for (const factor of [0.1, 0.5, 0.9, 0.99, 1.01, 1.1, 2, 10]) {
          const other = found * factor;
          if (other < TEMPERATURE_RANGE.least || other > TEMPERATURE_RANGE.most) continue;
          assert.ok(nllOf(logits, labels, other) >= least - 1e-9, `${other} is better than ${found}`);
        }
      },
    ),
    { seed: 11, numRuns: 60 },
  );
});

test("likelihood and calibration error are those of their definitions", () => {
  const { logits, labels } = drawn(400, 2, 7);
  assert.ok(Math.abs(calibrationAt(logits, labels, CLASSES, 1.7).nll - nllOf(logits, labels, 1.7)) < 1e-12);
  // Two classes; confidences 0.75 (right), 0.75 (wrong), 0.95 (right), in bins 11 and 14 of 15.
  const pair = (p: number): number[] => [Math.log(p / (1 - p)), 0];
  const three = Float32Array.from([...pair(0.75), ...pair(0.75), ...pair(0.95)]);
  const { ece } = calibrationAt(three, Int32Array.of(0, 1, 0), 2, 1);
  assert.ok(Math.abs(ece - (Math.abs(1.5 - 1) + Math.abs(0.95 - 1)) / 3) < 1e-6);
  // A sharper temperature moves confidences; ranks stay.
  assert.ok(calibrationAt(three, Int32Array.of(0, 1, 0), 2, 0.1).nll > 1);
});

test("a set that is all right, or all wrong, ends at the edge of the range", () => {
  const { logits } = drawn(30, 1, 5);
  const at = (choose: (row: number[]) => number): number => {
    const labels = Int32Array.from({ length: 30 }, (_, row) =>
      choose([...logits.subarray(row * CLASSES, (row + 1) * CLASSES)]),
    );
    return fitTemperature(logits, labels, CLASSES);
  };
  assert.ok(Math.abs(at((row) => row.indexOf(Math.max(...row))) / TEMPERATURE_RANGE.least - 1) < 1e-6);
  assert.ok(Math.abs(at((row) => row.indexOf(Math.min(...row))) / TEMPERATURE_RANGE.most - 1) < 1e-6);
  assert.throws(() => fitTemperature(logits, new Int32Array(3), CLASSES), RangeError);
});
