import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mayLack, sampleParameters } from "../../../operators/topk/sampled-thresholds.js";
import { topk, type TopkParameters, type TopkState } from "../../../operators/topk/topk.js";
import { batchOf, rowsOf, sortEverything, type Seen } from "./topk-model.js";

const CLASSES = 4;
const out = { emit: () => assert.fail(), reject: () => assert.fail() };

function fed(parameters: TopkParameters, rows: readonly Seen[]): TopkState {
  const state = topk(parameters).restore();
  state.onBatch(batchOf(rows), out);
  return state;
}

const row: fc.Arbitrary<Seen> = fc.record({
  class: fc.nat(CLASSES - 1),
  key: fc.double({ min: -9, max: 0, noNaN: true }),
  identity: fc.nat(60).map((n): Seen["identity"] => [n, 0, 0, n]),
  partition: fc.nat(2),
  offset: fc.nat(1000),
});

test("two passes with guessed thresholds, short classes read again, give what one pass gives", () => {
  let redone = 0;
  let spared = 0;
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 300, size: "max" }),
      fc.integer({ min: 1, max: 12 }),
      fc.nat(3),
      fc.constantFrom(1 / 2, 1 / 4, 1 / 16),
      fc.boolean(),
      (rows, k, reserve, share, biased) => {
        const select = { classes: CLASSES, k, reserve };
        const every = Math.round(1 / share);
        // A biased sample is all of the best: the guess is far too high.
        const sample = biased
          ? rows.toSorted((a, b) => b.key - a.key).slice(0, Math.ceil(rows.length * share))
          : rows.filter((_, i) => i % every === 0);
        const guessing = fed(sampleParameters(select, biased ? share / 8 : share), sample);
        guessing.counts();
        const guessed = guessing.thresholds;
        const state = fed(
          select,
          rows.filter((one) => one.key >= guessed[one.class]!),
        );
        const counts = state.counts();
        const short = new Set(
          [...counts.keys()].filter((i) => mayLack(select, state.kept[i]!, counts[i]!, guessed[i]!)),
        );
        const again = fed(
          select,
          rows.filter((one) => short.has(one.class)),
        );
        redone += short.size;
        spared += rows.filter((one) => !short.has(one.class) && one.key < guessed[one.class]!).length;
        for (let classIndex = 0; classIndex < CLASSES; classIndex++) {
          const found = (short.has(classIndex) ? again : state).rows(classIndex);
          assert.deepEqual(rowsOf(found), sortEverything(rows, classIndex, k + reserve));
        }
      },
    ),
    { numRuns: 500, seed: 4 },
  );
  assert.ok(
    redone > 100 && spared > 1000,
    `both ways must be taken: ${redone} classes read again, ${spared} rows spared`,
  );
});
