import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { meanInterval, studentQuantile } from "../../../operators/training/student-interval.js";
import { ROOT } from "../../architecture/repository.js";

interface Golden {
  readonly quantiles: readonly (readonly [probability: number, degrees: number, quantile: number])[];
  readonly intervals: readonly {
    readonly values: readonly number[];
    readonly confidence: number;
    readonly mean: number;
    readonly halfWidth: number;
  }[];
}

/** By scipy; student/make.py wrote it */
const golden = JSON.parse(readFileSync(join(ROOT, "test/operators/training/student/golden.json"), "utf8")) as Golden;

test("quantiles of Student's t are scipy's", () => {
  for (const [probability, degrees, quantile] of golden.quantiles) {
    const ours = studentQuantile(probability, degrees);
    assert.ok(Math.abs(ours / quantile - 1) < 1e-10, `${probability} of ${degrees} degrees: ${ours}, not ${quantile}`);
  }
});

test("means and their intervals are scipy's", () => {
  for (const { values, confidence, mean, halfWidth } of golden.intervals) {
    const ours = meanInterval(values, confidence);
    assert.ok(Math.abs(ours.mean - mean) <= 1e-12 * Math.abs(mean), `${ours.mean}, not ${mean}`);
    assert.ok(Math.abs(ours.halfWidth - halfWidth) <= 1e-10 * halfWidth, `${ours.halfWidth}, not ${halfWidth}`);
  }
});

test("one value has no interval", () => {
  assert.deepEqual(meanInterval([4]), { count: 1, mean: 4, halfWidth: NaN });
});
