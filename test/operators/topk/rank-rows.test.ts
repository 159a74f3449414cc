import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rankRows } from "../../../operators/topk/rank-rows.js";

/** The definition, term by term: -log1p of the sum over the other classes. */
function keyByDefinition(logits: readonly number[], index: number, temperature: number): number {
  let sum = 0;
  logits.forEach((logit, other) => {
    if (other !== index) sum += Math.exp(logit / temperature - logits[index]! / temperature);
  });
  return -Math.log1p(sum);
}

const logit = fc.float({ min: -60, max: 60, noNaN: true });

test("keys are the log-probabilities of the definition, best first, ties by class", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 12 }).chain((classes) =>
        fc.record({
          rows: fc.array(fc.array(logit, { minLength: classes, maxLength: classes }), { minLength: 1, maxLength: 5 }),
          topM: fc.integer({ min: 1, max: 14 }),
          temperature: fc.constantFrom(0.5, 1, 2.5),
        }),
      ),
      ({ rows, topM, temperature }) => {
        const classCount = rows[0]!.length;
        const ranked = rankRows(Float32Array.from(rows.flat()), rows.length, classCount, topM, temperature);
        assert.equal(ranked.topM, Math.min(topM, classCount));
        rows.forEach((given, row) => {
          const logits = [...Float32Array.from(given)];
          const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, topM);
          const at = row * ranked.topM;
          assert.deepEqual([...ranked.classes.subarray(at, at + ranked.topM)], order);
          order.forEach((index, rank) => {
            const expected = keyByDefinition(logits, index, temperature);
            const found = ranked.keys[at + rank]!;
            assert.ok(
              Math.abs(found - expected) <= 1e-12 * Math.max(1, Math.abs(expected)),
              `${found} for ${expected}`,
            );
            assert.equal(ranked.logits[at + rank], logits[index]);
          });
          const total = Math.log(logits.reduce((sum, z) => sum + Math.exp(z / temperature - 200), 0)) + 200;
          assert.ok(Math.abs(ranked.logSumExp[row]! - total) < 1e-9);
        });
      },
    ),
  );
});

test("images that a float32 softmax calls equally certain keep their order", () => {
  const ranked = rankRows(Float32Array.of(40, 0, 45, 0), 2, 2, 1, 1);
  assert.equal(Math.fround(Math.exp(ranked.keys[0]!)), 1);
  assert.equal(Math.fround(Math.exp(ranked.keys[1]!)), 1);
  assert.ok(ranked.keys[1]! > ranked.keys[0]!);
});

test("a row with a logit that is not finite has no scores, its neighbours do", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const ranked = rankRows(Float32Array.of(1, 2, bad, 2, 3, 1), 3, 2, 2, 1);
    assert.deepEqual([...ranked.finite], [1, 0, 1]);
    assert.deepEqual([...ranked.classes.subarray(4)], [0, 1]);
  }
});

test("of a multi-label teacher each class stands for itself: its key is the log-sigmoid, precise at both ends", () => {
  const logits = [-800, -40, -1, 0, 2, 40, 700];
  const ranked = rankRows(Float32Array.from(logits), 1, logits.length, logits.length, 1, true);
  assert.deepEqual([...ranked.classes], [6, 5, 4, 3, 2, 1, 0]);
  const near = (found: number, expected: number): void => {
    assert.ok(Math.abs(found - expected) <= 1e-14 * Math.abs(expected), `${found} for ${expected}`);
  };
  near(ranked.keys[6]!, -800);
  near(ranked.keys[5]!, -40 - Math.exp(-40));
  near(ranked.keys[3]!, -Math.LN2);
  near(ranked.keys[2]!, -Math.log1p(Math.exp(-2)));
  near(ranked.keys[1]!, -Math.exp(-40));
  near(ranked.keys[0]!, -Math.exp(-700));
  // Another class changes nothing, and the temperature divides.
  assert.equal(rankRows(Float32Array.of(2, 90), 1, 2, 2, 1, true).keys[1], ranked.keys[2]);
  assert.equal(rankRows(Float32Array.of(4, 90), 1, 2, 2, 2, true).keys[1], ranked.keys[2]);
});
