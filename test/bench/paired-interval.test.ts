import assert from "node:assert/strict";
import { test } from "node:test";
import { interval } from "../../bench/paired-interval.js";

test("the interval is Student's", () => {
  // Textbook values: mean 3, standard deviation 1.5811, t(4) = 2.776: 2.776 x 1.5811 / sqrt(5) = 1.963.
  const five = interval([1, 2, 3, 4, 5]);
  assert.equal(five.mean, 3);
  assert.ok(Math.abs(five.halfWidth - 1.963) < 5e-4, `${five.halfWidth}`);
  // Two values: half their distance times t(1).
  assert.ok(Math.abs(interval([0, 2]).halfWidth - 12.706) < 1e-9);
  assert.equal(interval([4, 4, 4]).halfWidth, 0);
  assert.ok(Number.isNaN(interval([1]).halfWidth));
});
