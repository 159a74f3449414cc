import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { comparePaired, mcnemarExact, wilsonInterval } from "../../../operators/training/paired-comparison.js";
import { calibrationAt } from "../../../operators/training/temperature.js";
import { ROOT } from "../../architecture/repository.js";

interface Goldens {
  readonly mcnemar: readonly { onlyOne: number; onlyOther: number; p: number }[];
  readonly bootstrap: readonly { count: number; gained: number; lost: number; low: number; high: number }[];
  readonly wilson: readonly { right: number; count: number; confidence: number; low: number; high: number }[];
  readonly calibration: readonly { classes: number; logits: number[]; labels: number[]; ece: number }[];
}
/** By statsmodels, scipy and numpy: see make-goldens.py beside it. */
const goldens = JSON.parse(readFileSync(join(ROOT, "test/fixtures/statistics/goldens.json"), "utf8")) as Goldens;

/** Answers of two models: `gained` images only the first has right, `lost` only the second, the others both. */
function answers(count: number, gained: number, lost: number): [boolean[], boolean[]] {
  const kinds = Array.from({ length: count }, (_, at) => (at < gained ? 1 : at < gained + lost ? -1 : 0));
  return [kinds.map((kind) => kind >= 0), kinds.map((kind) => kind <= 0)];
}

test("McNemar's exact test gives what statsmodels gives", () => {
  for (const { onlyOne, onlyOther, p } of goldens.mcnemar) {
    const found = mcnemarExact(onlyOne, onlyOther);
    assert.ok(Math.abs(found - p) <= 1e-9 * Math.max(p, 1e-3), `${onlyOne}, ${onlyOther}: ${found}, not ${p}`);
  }
});

test("the bootstrap interval is scipy's, within what resampling leaves open", () => {
  for (const { count, gained, lost, low, high } of goldens.bootstrap) {
    const { interval, difference } = comparePaired(...answers(count, gained, lost), { confidence: 0.95, seed: 1 });
    const width = high - low;
    assert.ok(Math.abs(interval.low - low) < width / 10, `${count}: low ${interval.low}, not ${low}`);
    assert.ok(Math.abs(interval.high - high) < width / 10, `${count}: high ${interval.high}, not ${high}`);
    assert.equal(difference, (gained - lost) / count);
  }
});

test("the interval of one accuracy is Wilson's, as statsmodels has it", () => {
  for (const { right, count, confidence, low, high } of goldens.wilson) {
    const found = wilsonInterval(right, count, confidence);
    assert.ok(Math.abs(found.low - low) < 1e-6 && Math.abs(found.high - high) < 1e-6, `${right} of ${count}`);
  }
});

test("the same seed gives the same interval; models with equal answers differ by nothing", () => {
  const [one, other] = answers(100, 9, 4);
  const options = { confidence: 0.9, seed: 7 };
  assert.deepEqual(comparePaired(one, other, options), comparePaired(one, other, options));
  const same = comparePaired(one, one, options);
  assert.deepEqual([same.difference, same.p, same.interval.low, same.interval.high], [0, 1, 0, 0]);
  assert.throws(() => comparePaired(one, other.slice(1), options), RangeError);
});

test("the calibration error is the one that its definition gives", () => {
  for (const { classes, logits, labels, ece } of goldens.calibration) {
    const found = calibrationAt(Float32Array.from(logits), Int32Array.from(labels), classes, 1);
    assert.ok(Math.abs(found.ece - ece) < 1e-6, `${found.ece}, not ${ece}`);
  }
});
