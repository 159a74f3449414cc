import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Engine } from "../../../connectors/engine/engine.js";
import { BisectingScorer } from "../../../operators/image/score-bisecting.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { ENGINE } from "../../fixtures/archive.js";

const IMAGE_BYTES = 3;

/** An image's logits are its first byte and twice that; a batch with one for which `crashes` says so ends the worker. */
function engineThat(crashes: (value: number) => boolean): Engine {
  return {
    info: ENGINE,
    parallelism: 1,
    score: ({ count, pixels }) => {
      const values = Array.from({ length: count }, (_, row) => pixels[row * IMAGE_BYTES]!);
      if (values.some(crashes))
        return Promise.reject(new SluiceError("E_ENGINE_CRASH", "The worker ended on purpose."));
      return Promise.resolve(Float32Array.from(values.flatMap((value) => [value, 2 * value])));
    },
    close: () => Promise.resolve(),
  };
}

const pixelsOf = (values: readonly number[]): Uint8Array => Uint8Array.from(values.flatMap((value) => [value, 0, 0]));

test("however many images end the worker, each costs only itself, whatever they come with", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(255), { minLength: 1, maxLength: 9 }), { maxLength: 6 }),
      async (batches) => {
        const isPoison = (value: number): boolean => value % 3 === 0;
        const scorer = new BisectingScorer(engineThat(isPoison), IMAGE_BYTES, 2);
        for (const values of batches) {
          const scores = await scorer.score(pixelsOf(values));
          assert.deepEqual(
            scores.map((logits) => logits && [...logits]),
            values.map((value) => (isPoison(value) ? null : [value, 2 * value])),
          );
        }
      },
    ),
  );
});

test("an engine that ends on every image is not taken for so many bad images", async () => {
  const scorer = new BisectingScorer(
    engineThat(() => true),
    IMAGE_BYTES,
    2,
  );
  await assert.rejects(scorer.score(pixelsOf([1, 2, 3])), (error) => isSluiceError(error, "E_ENGINE_CRASH"));
  let broken = false;
  const later = new BisectingScorer(
    engineThat((value) => broken || value === 0),
    IMAGE_BYTES,
    2,
  );
  assert.deepEqual([...(await later.score(pixelsOf([7])))[0]!], [7, 14]);
  broken = true;
  await assert.rejects(later.score(pixelsOf([8])), (error) => isSluiceError(error, "E_ENGINE_CRASH"));
});
