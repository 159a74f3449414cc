import assert from "node:assert/strict";
import { test } from "node:test";
import { ratesOf, withWritten } from "../../../web/app/parts/run-rates.js";

const written = (atMs: number, appended: number, scored: number, startedMs = 0) => ({
  startedMs,
  atMs,
  counts: { appended, scored, copied: 1, quarantined: 0, lost: 0, sizeBytes: 0 },
});

test("a run's rates are those of what it wrote over the last twenty seconds", () => {
  const all = [
    written(1000, 0, 0),
    written(3000, 100, 10),
    written(3000, 100, 10),
    written(20_000, 950, 95),
    written(23_000, 1100, 110),
  ].reduce<ReturnType<typeof withWritten>>(withWritten, []);
  assert.deepEqual(
    all.map(({ atMs }) => atMs),
    [3000, 20_000, 23_000],
  );
  assert.deepEqual(ratesOf(all), { taken: 50, done: 5 });
});

test("nothing is known of a run that has written once, and another run begins anew", () => {
  const first = withWritten([], written(1000, 5, 5));
  assert.equal(ratesOf(first), null);
  assert.equal(ratesOf([]), null);
  assert.equal(ratesOf(withWritten(first, written(9000, 0, 0, 8000))), null);
});
