import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { growthOf, type Sample } from "./growth.js";

const MIB = 2 ** 20;
const samples = (value: (timeS: number) => number, count = 300): Sample[] =>
  Array.from({ length: count }, (_, at) => ({ timeS: at * 2, value: value(at * 2) }));

test("what rises steadily grows, also below a sawtooth; its slope is found", () => {
  const random = new SeededRandom(1);
  const leaking = samples((timeS) => 100 * MIB + timeS * 0.2 * MIB + random.next() * 60 * MIB);
  const { grows, slopeAnHour, least, most } = growthOf(leaking, 24 * MIB);
  assert.equal(grows, true);
  assert.ok(least < 720 * MIB && 720 * MIB < most, `${slopeAnHour / MIB}`);
});

test("what goes up and down, what rises at the start alone, and what rises by less than is tolerated does not grow", () => {
  const random = new SeededRandom(2);
  const noisy = samples(() => 100 * MIB + random.next() * 60 * MIB);
  assert.equal(growthOf(noisy, MIB).grows, false);
  assert.equal(
    growthOf(
      samples((timeS) => Math.min(timeS, 140)),
      1,
    ).grows,
    false,
    "as a process warms up",
  );
  assert.equal(
    growthOf(
      samples((timeS) => 10 + timeS / 600),
      8,
    ).grows,
    false,
    "a handle in ten minutes",
  );
  assert.equal(
    growthOf(
      samples((timeS) => timeS, 20),
      1,
    ).grows,
    null,
    "too short to say",
  );
  assert.throws(() => growthOf([], 1), /expected samples, found none/);
});
