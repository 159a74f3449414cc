import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { probeBatching } from "../../../../connectors/engine/pool/probe.js";
import type { PixelBatch } from "../../../../schemas/pixels.js";

const IMAGE_BYTES = 5;
const instant = { nowMs: () => 0, fixed: false };

/** A model of two classes; `drift` is added to a row's score. */
function model(drift: (count: number, row: number, batch: PixelBatch) => number) {
  const sizes: number[] = [];
  const score = async (batch: PixelBatch): Promise<Float32Array> => {
    sizes.push(batch.count);
    return Float32Array.from({ length: batch.count * 2 }, (_, at) => {
      const row = at >> 1;
      const image = batch.pixels.subarray(row * IMAGE_BYTES, (row + 1) * IMAGE_BYTES);
      const sum = image.reduce((total, pixel, i) => total + pixel * (i + 1 + (at & 1)), 0);
      return sum / 7 + drift(batch.count, row, batch);
    });
  };
  return { score, sizes };
}

describe("the probe of batch invariance", () => {
  test("says yes to a model that treats every image by itself, at every batch size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), async (batch) => {
        const { score } = model(() => 0);
        assert.deepEqual(await probeBatching(score, IMAGE_BYTES, batch, instant), { batchInvariant: "yes", batch });
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  const drifts: [string, (count: number, row: number, batch: PixelBatch) => number, number][] = [
    ["one row takes another path than many", (count) => (count === 1 ? 1 : 0), 16],
    ["an odd size leaves a remainder", (count) => (count % 4 === 3 ? 1 : 0), 16],
    ["the rows of a remainder take another path", (count, row) => (row >= count - (count % 4) ? 1 : 0), 16],
    ["a position counts", (_count, row) => (row === 1 ? 1 : 0), 1],
    ["the neighbours count", (_count, _row, batch) => (batch.pixels[0] ?? 0) & 1, 1],
  ];
  for (const [what, drift, expected] of drifts) {
    test(`finds it where ${what}: runs of ${expected}`, async () => {
      const found = await probeBatching(model(drift).score, IMAGE_BYTES, 16, instant);
      assert.deepEqual(found, { batchInvariant: "padded", batch: expected });
    });
  }

  test("takes NaN for equal to NaN", async () => {
    const { score } = model(() => NaN);
    assert.equal((await probeBatching(score, IMAGE_BYTES, 8, instant)).batchInvariant, "yes");
  });

  test("costs about two full batches", async () => {
    const { score, sizes } = model(() => 0);
    await probeBatching(score, IMAGE_BYTES, 16, instant);
    assert.ok(sizes.reduce((a, b) => a + b, 0) <= 32);
  });

  test("asks a slow model for few images, and lets it run no longer batches than those it was asked for", async () => {
    const { score, sizes } = model(() => 0);
    let nowMs = 0;
    const slow = { nowMs: () => nowMs, fixed: false };
    const timed = async (batch: PixelBatch) => {
      nowMs += 1000 * batch.count;
      return score(batch);
    };
    assert.deepEqual(await probeBatching(timed, IMAGE_BYTES, 64, slow), { batchInvariant: "yes", batch: 3 });
    assert.ok(sizes.reduce((a, b) => a + b, 0) <= 8);
  });

  test("gives a slow model that needs padding the same batch as a fast one", async () => {
    const { score } = model((count) => (count === 1 ? 1 : 0));
    let nowMs = 0;
    const found = await probeBatching(score, IMAGE_BYTES, 16, { nowMs: () => (nowMs += 1000), fixed: false });
    assert.deepEqual(found, { batchInvariant: "padded", batch: 16 });
  });
});
