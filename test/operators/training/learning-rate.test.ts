import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { learningRateAt } from "../../../operators/training/learning-rate.js";

test("the rate climbs to its peak, then comes down to almost nothing", () => {
  const rate = { peak: 0.8, warmUpSteps: 3 };
  const rates = Array.from({ length: 103 }, (_, step) => learningRateAt(rate, step, 103));
  assert.deepEqual(
    rates.slice(0, 4).map((value) => value.toFixed(6)),
    ["0.200000", "0.400000", "0.600000", "0.800000"],
  );
  assert.ok(Math.abs(rates[53]! - 0.4) < 1e-12, "half way down it is half the peak");
  assert.ok(rates[102]! > 0 && rates[102]! < 0.001);
});

test("it is above nothing and at most its peak, whatever the lengths", () => {
  const lengths = fc.record({ steps: fc.integer({ min: 1, max: 500 }), warmUpSteps: fc.nat({ max: 600 }) });
  fc.assert(
    fc.property(lengths, ({ steps, warmUpSteps }) => {
      for (let step = 0; step < steps; step++) {
        const rate = learningRateAt({ peak: 0.5, warmUpSteps }, step, steps);
        assert.ok(rate > 0 && rate <= 0.5, `${rate} at ${step}`);
      }
    }),
  );
});
