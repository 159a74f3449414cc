import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { measureNormalise } from "../../../operators/training/pixel-statistics.js";
import { toTensor } from "../../../schemas/pixels.js";

test("normalised with the measured figures, every channel has mean 0 and spread 1", () => {
  const images = fc.uint8Array({ minLength: 24, maxLength: 240 }).filter((pixels) => pixels.length % 12 === 0);
  fc.assert(
    fc.property(images, (pixels) => {
      const normalise = measureNormalise(pixels, 3);
      const input = { width: 2, height: 2, colour: "rgb", layout: "NHWC" } as const;
      const tensor = toTensor({ count: pixels.length / 12, pixels }, { input, normalise });
      for (let channel = 0; channel < 3; channel++) {
        const values = [...tensor].filter((_, at) => at % 3 === channel);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
        assert.ok(Math.abs(mean) < 1e-3, `mean ${mean}`);
        const own = pixels.filter((_, at) => at % 3 === channel);
        if (Math.max(...own) - Math.min(...own) >= 20) assert.ok(Math.abs(variance - 1) < 1e-3, `variance ${variance}`);
        else assert.ok(variance <= 1.001, `variance ${variance}`);
      }
    }),
  );
});

test("a constant channel gives a usable spread", () => {
  assert.deepEqual(measureNormalise(new Uint8Array(9).fill(51), 1), { mean: [0.2], std: [1 / 255] });
});
