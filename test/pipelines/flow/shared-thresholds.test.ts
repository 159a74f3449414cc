import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SharedThresholds } from "../../../pipelines/flow/shared-thresholds.js";

test("others read a threshold that is never too high, and hardly lower; -Infinity before any is told", () => {
  const key = fc.oneof(
    fc.double({ noNaN: true, min: -800, max: 0 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, -1e-50, 1e-50, -1e300, 1e300, -Infinity),
  );
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 20 }), fc.nat(19), (keys, omitted) => {
      const memory = SharedThresholds.memory(keys.length);
      const told = keys.map((_, index) => index).filter((index) => index !== omitted);
      new SharedThresholds(memory).publish(Float64Array.from(keys), told);
      const read = new Float64Array(keys.length);
      new SharedThresholds(memory).read(read);
      for (const [index, exact] of keys.entries()) {
        const found = read[index]!;
        if (index === omitted) assert.equal(found, -Infinity);
        else assert.ok(found <= exact, `${found} for ${exact}`);
        if (index !== omitted && exact <= -1e-30 && exact > -1e30) assert.ok(found >= exact * (1 + 2 ** -22));
      }
    }),
    { numRuns: 500 },
  );
});
