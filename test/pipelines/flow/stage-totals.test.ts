import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBudget } from "../../../pipelines/flow/flow.js";
import { StageClock } from "../../../pipelines/flow/stage-clock.js";

test("totals say how long a stage worked, how long it took no more, and how long nothing came", () => {
  let nowMs = 0;
  const clock = new StageClock(() => nowMs);
  clock.setPlaces({ fetch: 2, decode: 1, score: 1, archive: 1 });
  nowMs = 100;
  clock.begin("fetch");
  nowMs = 200;
  clock.begin("fetch");
  nowMs = 250;
  assert.deepEqual(clock.totals().atWork, { fetch: 2, decode: 0, score: 0, archive: 0 });
  clock.end("fetch");
  clock.end("fetch");
  nowMs = 300;
  const { busyMs, fullMs, waitingMs, movedMs } = clock.totals();
  // One of two places for 100 ms, both for 50.
  assert.deepEqual([busyMs.fetch, fullMs.fetch, waitingMs, movedMs], [100, 50, 150, 250]);
  assert.equal(busyMs.decode + fullMs.decode, 0);
  const { fetch, decode } = clock.queues();
  assert.deepEqual(
    [fetch, decode],
    [
      { items: 0, places: 2, full: 50 / 300 },
      { items: 0, places: 1, full: 0 },
    ],
  );
});

test("totals go on over the spans that shares forget", () => {
  let nowMs = 0;
  const clock = new StageClock(() => nowMs);
  clock.begin("score");
  for (let hour = 1; hour <= 5; hour++) {
    nowMs = hour * 3_600_000;
    clock.totals();
  }
  assert.equal(clock.totals().busyMs.score, 5 * 3_600_000);
});

test("a budget counts the time in which there was no room, once for all that wait", async () => {
  let nowMs = 0;
  const budget = new ByteBudget(10, () => nowMs);
  await budget.admit();
  budget.take(10);
  const waiting = [budget.admit(), budget.admit()];
  nowMs = 400;
  budget.release(5);
  await Promise.all(waiting);
  assert.deepEqual([budget.waitedMs, budget.usedBytes, budget.maxBytes], [400, 5, 10]);
});
