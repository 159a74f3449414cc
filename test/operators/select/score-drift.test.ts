import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { kolmogorovSmirnov, scoreDrift } from "../../../operators/select/score-drift.js";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { driftedMeasures, driftLimitsSchema } from "../../../schemas/drift.js";

const limits = driftLimitsSchema.parse({});
const names = (classes: number): string[] => Array.from({ length: classes }, (_, index) => `class ${index}`);

/** Images by class and score; `lean`: how much likelier the first class is than each other, `least`: scores lie above it. */
function drawn(seed: number, count: number, classes: number, { lean = 1, least = 0 } = {}): number[][] {
  const random = new SeededRandom(seed, "drift");
  const found: number[][] = names(classes).map(() => []);
  for (let image = 0; image < count; image++) {
    const at = random.next() * (classes - 1 + lean);
    found[at < lean ? 0 : 1 + Math.floor(at - lean)]!.push(least + (1 - least) * random.next());
  }
  return found;
}

test("the distance is the greatest between the two distribution functions, looked at everywhere", () => {
  const samples = fc.array(fc.constantFrom(0, 0.1, 0.2, 0.5, 0.9, 1), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(samples, samples, (a, b) => {
      const below = (list: readonly number[], at: number): number =>
        list.filter((one) => one <= at).length / list.length;
      const most = Math.max(...[...a, ...b].map((at) => Math.abs(below(a, at) - below(b, at))));
      assert.ok(Math.abs(kolmogorovSmirnov(a, b) - most) < 1e-12);
    }),
  );
});

test("samples of the same stream are not called drifted, of few and of many classes; chance is what is taken off", () => {
  for (const classes of [2, 10, 1000]) {
    let sum = 0;
    for (let seed = 0; seed < 10; seed++) {
      const drift = scoreDrift(drawn(seed, 4000, classes), drawn(100 + seed, 6000, classes), names(classes))!;
      assert.deepEqual(driftedMeasures({ since: 1, ...drift }, limits), [], JSON.stringify({ classes, seed, drift }));
      sum += drift.psi / drift.psiByChance;
    }
    // Of two classes ten seeds vary too much.
    if (classes > 2)
      assert.ok(sum / 10 > 0.6 && sum / 10 < 1.6, `${classes} classes: ${sum / 10} times what chance gives`);
  }
});

test("equal shares are no drift where hardly any class of many has images, and few images came", () => {
  const seen = (count: number): number[][] =>
    names(1000).map((_, index) => Array<number>(index < 10 ? count : 0).fill(0.5));
  const drift = scoreDrift(seen(100), seen(2000), names(1000))!;
  assert.deepEqual([drift.rowsNow, drift.rowsBefore], [1000, 20_000]);
  assert.ok(drift.psi < 0.05, `PSI ${drift.psi}`);
  assert.ok(drift.classes.every(({ now }) => now === 0.1));
});

test("another share of a class is found by PSI, other scores by KS, and the class that moved most is named first", () => {
  const before = drawn(1, 5000, 10);
  const shifted = scoreDrift(drawn(2, 3000, 10, { lean: 9 }), before, names(10))!;
  assert.deepEqual(driftedMeasures({ since: 1, ...shifted }, limits), ["psi"]);
  assert.equal(shifted.classes[0]!.label, "class 0");
  assert.ok(shifted.classes[0]!.now > 0.4 && shifted.classes[0]!.before < 0.15);
  const surer = scoreDrift(drawn(3, 3000, 10, { least: 0.3 }), before, names(10))!;
  assert.deepEqual(driftedMeasures({ since: 1, ...surer }, limits), ["ks"]);
  assert.ok(surer.classes.every(({ ks }) => ks !== null && ks > 0.15));
  // Ten images tell nothing of scores.
  const few = scoreDrift(drawn(4, 10, 10, { least: 0.3 }), before, names(10))!;
  assert.deepEqual(driftedMeasures({ since: 1, ...few }, limits).includes("ks"), false);
  assert.equal(
    scoreDrift(
      names(10).map(() => []),
      before,
      names(10),
    ),
    null,
  );
});

test("the index is the sum over classes of the shares' difference times the logarithm of their ratio", () => {
  const drift = scoreDrift(
    [Array<number>(30).fill(1), Array<number>(10).fill(1)],
    [Array<number>(10).fill(1), Array<number>(30).fill(1)],
    ["a", "b"],
  )!;
  const [p, q] = [30.5 / 41, 10.5 / 41];
  assert.ok(Math.abs(drift.psi - 2 * (p - q) * Math.log(p / q)) < 1e-12);
});
