import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LagClock } from "../../../pipelines/observe/lag-clock.js";

test("the first record that waits has waited since the look that first showed it", () => {
  const clock = new LagClock();
  assert.equal(clock.behindS(0, 0), 0);
  clock.look(10, 1000);
  clock.look(10, 2000);
  clock.look(25, 3000);
  assert.equal(clock.behindS(0, 4000), 3);
  assert.equal(clock.behindS(10, 4000), 1, "what was there at 1 s is archived");
  assert.equal(clock.behindS(25, 4000), 0);
  clock.look(30, 5000);
  assert.equal(clock.behindS(29, 7000), 2);
});

test("a log that ends earlier than it did is another one", () => {
  const clock = new LagClock();
  clock.look(100, 1000);
  clock.look(5, 2000);
  assert.equal(clock.behindS(0, 3000), 1);
});

test("as a plain list of all looks has it, to within what a full memory drops", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 60 }), (steps) => {
      const clock = new LagClock();
      const looks: { atMs: number; end: number }[] = [];
      let [end, archived, atMs] = [0, 0, 0];
      for (const [came, done] of steps) {
        atMs += 1000;
        end += came;
        archived = Math.min(end, archived + done);
        clock.look(end, atMs);
        looks.push({ atMs, end });
        const waiting = looks.find((look) => look.end > archived);
        assert.equal(clock.behindS(archived, atMs), waiting === undefined ? 0 : (atMs - waiting.atMs) / 1000);
      }
    }),
  );
});

test("memory is bounded however long it lags", () => {
  const clock = new LagClock();
  for (let second = 1; second <= 100_000; second++) clock.look(second, second * 1000);
  assert.equal(clock.behindS(0, 100_000_000), 99_999);
});
