import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findBatch } from "../../../../connectors/engine/pool/find-batch.js";

const noMemory = new Error("out of memory");

/** A device on a clock of its own: a run of n images takes `costMs(n)`, and memory is short above `fits`. */
function device(costMs: (count: number) => number, fits = Number.POSITIVE_INFINITY) {
  const sizes: number[] = [];
  let nowMs = 0;
  const find = (most = 256) =>
    findBatch(
      async (count) => {
        sizes.push(count);
        if (count > fits) throw noMemory;
        nowMs += costMs(count);
      },
      { most, isTooLarge: (error) => error === noMemory, nowMs: () => nowMs },
    );
  return { find, sizes };
}

describe("the search for a batch", () => {
  for (const peak of [1, 8, 32]) {
    test(`takes ${peak} where images a second rise up to it and fall past it`, async () => {
      const { find, sizes } = device((count) => (count <= peak ? 10 : 10 * (count / peak) ** 1.5));
      const found = await find();
      assert.equal(found.batch, peak);
      assert.equal(found.tooLarge, null);
      assert.equal(Math.max(...sizes), peak * 4, "two sizes in a row without a gain end it");
      for (const { batch, imagesPerS } of found.trials) {
        const cost = batch <= peak ? 10 : 10 * (batch / peak) ** 1.5;
        assert.ok(Math.abs(imagesPerS - (batch * 1000) / cost) < 1e-6);
      }
    });
  }

  test("goes past one size that suits the device badly", async () => {
    const { find } = device((count) => (count === 4 ? 80 : 10));
    assert.equal((await find(16)).batch, 16);
  });

  test("takes the least size where larger ones gain less than the clock's noise", async () => {
    const { find } = device((count) => count * (1 - Math.log2(count) / 100));
    assert.equal((await find()).batch, 1);
  });

  for (const fits of [1, 5, 16, 255]) {
    test(`stops where memory is short above ${fits}`, async () => {
      const found = await device(() => 1, fits).find();
      const largest = 2 ** Math.floor(Math.log2(fits));
      assert.deepEqual({ batch: found.batch, tooLarge: found.tooLarge }, { batch: largest, tooLarge: largest * 2 });
    });
  }

  test("stays within the greatest size, and asks for no run longer than a few seconds twice", async () => {
    assert.equal((await device(() => 1).find(64)).batch, 64);
    const { find, sizes } = device((count) => count * 1100 * 0.9 ** Math.log2(count));
    await find();
    assert.deepEqual(
      sizes.filter((size) => size >= 4),
      [4],
    );
  });

  test("passes on what is no lack of memory, and a single image that has none", async () => {
    const broken = new Error("broken");
    const options = { most: 8, isTooLarge: (error: unknown) => error === noMemory, nowMs: () => 0 };
    await assert.rejects(
      findBatch((count) => (count > 2 ? Promise.reject(broken) : Promise.resolve()), options),
      broken,
    );
    await assert.rejects(
      findBatch(() => Promise.reject(noMemory), options),
      noMemory,
    );
  });
});
