import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pixelBytes, toTensor } from "../../schemas/pixels.js";
import type { ModelCard } from "../../schemas/model-card.js";

test("toTensor puts (u8/255 - mean)/std of every pixel where layout and channel order say", () => {
  const side = fc.integer({ min: 1, max: 5 });
  const inputs = fc.record({
    width: side,
    height: side,
    layout: fc.constantFrom("NCHW" as const, "NHWC" as const),
    colour: fc.constantFrom("rgb" as const, "bgr" as const, "grey" as const),
  });
  const count = 3;
  fc.assert(
    fc.property(inputs, fc.infiniteStream(fc.nat(255)), (input, values) => {
      const channels = input.colour === "grey" ? 1 : 3;
      const normalise = { mean: [0.1, 0.2, 0.3].slice(0, channels), std: [0.5, 0.6, 0.7].slice(0, channels) };
      const card: Pick<ModelCard, "input" | "normalise"> = { input, normalise };
      const pixels = Uint8Array.from({ length: count * pixelBytes(input) }, () => values.next().value as number);
      const tensor = toTensor({ count, pixels }, card);
      assert.equal(tensor.length, pixels.length);
      const { width, height } = input;
      for (let n = 0; n < count; n++)
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            for (let c = 0; c < channels; c++) {
              const source = input.colour === "bgr" ? 2 - c : c;
              const u8 = pixels[((n * height + y) * width + x) * channels + source]!;
              const at =
                input.layout === "NCHW"
                  ? ((n * channels + c) * height + y) * width + x
                  : ((n * height + y) * width + x) * channels + c;
              assert.equal(tensor[at], Math.fround((u8 / 255 - normalise.mean[c]!) / normalise.std[c]!));
            }
    }),
    { seed: 2, numRuns: 60 },
  );
});

test("toTensor writes into the array given, and takes one mean and deviation for all channels", () => {
  const input = { width: 1, height: 1, layout: "NHWC", colour: "rgb" } as const;
  const out = new Float32Array(5).fill(9);
  const normalise = { mean: [0.5], std: [0.5] };
  toTensor({ count: 1, pixels: Uint8Array.of(0, 255, 51) }, { input, normalise }, out);
  assert.deepEqual([...out], [-1, 1, Math.fround((0.2 - 0.5) / 0.5), 9, 9]);
});
