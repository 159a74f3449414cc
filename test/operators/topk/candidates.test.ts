import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CandidateBatch } from "../../../schemas/candidate-batch.js";
import type { ScoredBatch } from "../../../schemas/scored-batch.js";
import { candidates, type CandidateParameters } from "../../../operators/topk/candidates.js";

const CLASSES = 6;

interface Image {
  readonly digest: Uint8Array;
  readonly partition: number;
  readonly offset: bigint;
  /** class and key, key descending, [M] */
  readonly best: readonly (readonly [number, number])[];
}

function scored(images: readonly Image[], topM: number): ScoredBatch {
  const count = images.length;
  const none = { get: () => null };
  return {
    count,
    topM,
    digest: Uint8Array.from(images.flatMap((image) => [...image.digest])),
    partition: Int32Array.from(images, (image) => image.partition),
    offset: BigInt64Array.from(images, (image) => image.offset),
    eventTimeMs: new BigInt64Array(count),
    copied: new Uint8Array(count),
    bytes: new Uint8Array(count),
    pack: none,
    uri: none,
    sizeBytes: new Uint32Array(count),
    width: new Uint32Array(count),
    height: new Uint32Array(count),
    pdq: new Uint8Array(count * 32),
    pdqQuality: new Uint8Array(count),
    licence: none,
    origin: none,
    notes: none,
    retryOf: new BigInt64Array(count),
    classes: Int32Array.from(images.flatMap((image) => image.best.map(([one]) => one))),
    keys: Float64Array.from(images.flatMap((image) => image.best.map(([, key]) => key))),
    logits: new Float32Array(count * topM),
    logSumExp: new Float64Array(count),
    allLogits: null,
    embedding: null,
  };
}

interface Row {
  readonly class: number;
  readonly key: number;
  readonly identity: string;
  readonly partition: number;
  readonly offset: number;
}

function run(parameters: CandidateParameters, batch: ScoredBatch): { rows: Row[]; rejected: number[] } {
  const rejected: number[] = [];
  const rows: Row[] = [];
  const emit = (made: CandidateBatch) => {
    assert.ok(made.count > 0);
    for (let i = 0; i < made.count; i++) {
      const words = [...made.identity.subarray(4 * i, 4 * i + 4)];
      rows.push({
        class: made.classes[i]!,
        key: made.keys[i]!,
        identity: words.map((word) => word.toString(16).padStart(8, "0")).join(""),
        partition: made.partition[i]!,
        offset: made.offset[i]!,
      });
    }
  };
  candidates(parameters).onBatch(batch, {
    emit,
    reject: (found, code) => {
      assert.equal(code, "E_IMAGE_SCORES");
      rejected.push(...found);
    },
  });
  return { rows, rejected };
}

const image = (topM: number): fc.Arbitrary<Image> =>
  fc.record({
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    partition: fc.integer({ min: 0, max: 65_535 }),
    offset: fc.bigInt({ min: 0n, max: 2n ** 48n - 1n }),
    best: fc
      .tuple(
        fc.shuffledSubarray([...Array(CLASSES).keys()], { minLength: topM, maxLength: topM }),
        fc.array(fc.double({ min: -20, max: 0 }), { minLength: topM, maxLength: topM }),
      )
      .map(([classes, keys]) => {
        keys.sort((a, b) => b - a);
        return classes.map((one, i): [number, number] => [one, keys[i]!]);
      }),
  });

test("each row's P best become candidates, in order, above the floor and no lower than the thresholds", () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: CLASSES })
        .chain((topM) =>
          fc.tuple(fc.constant(topM), fc.integer({ min: 1, max: topM }), fc.array(image(topM), { maxLength: 30 })),
        ),
      fc.option(fc.double({ min: -20, max: 0, noNaN: true }), { nil: undefined }),
      fc.option(fc.array(fc.double({ min: -20, max: 0, noNaN: true }), { minLength: CLASSES, maxLength: CLASSES }), {
        nil: undefined,
      }),
      ([topM, p, images], floorKey, bounds) => {
        const expected: Row[] = [];
        const refused: number[] = [];
        images.forEach(({ digest, partition, offset, best }, row) => {
          const chosen = best.slice(0, p);
          if (chosen.some(([, key]) => !Number.isFinite(key))) {
            refused.push(row);
            return;
          }
          for (const [one, key] of chosen) {
            if (key < (floorKey ?? -Infinity) || key < (bounds?.[one] ?? -Infinity)) continue;
            const identity = Buffer.from(digest).toString("hex").slice(0, 32);
            expected.push({ class: one, key, identity, partition, offset: Number(offset) });
          }
        });
        const thresholds = bounds && Float64Array.from(bounds);
        const { rows, rejected } = run({ p, classes: CLASSES, floorKey, thresholds }, scored(images, topM));
        assert.deepEqual(rows, expected);
        assert.deepEqual(rejected, refused);
      },
    ),
    { numRuns: 300 },
  );
});

const one = (best: Image["best"], rest: Partial<Image> = {}): Image => ({
  digest: new Uint8Array(32).fill(0xab),
  partition: 0,
  offset: 0n,
  best,
  ...rest,
});

test("thresholds are read when a batch comes, not when the operator is made", () => {
  const thresholds = new Float64Array(CLASSES).fill(-Infinity);
  const state = candidates({ p: 1, classes: CLASSES, thresholds });
  let made = 0;
  const out = { emit: (batch: CandidateBatch) => (made += batch.count), reject: () => assert.fail() };
  state.onBatch(scored([one([[2, -1]])], 1), out);
  thresholds[2] = -0.5;
  state.onBatch(scored([one([[2, -1]])], 1), out);
  assert.equal(made, 1);
});

test("infinite keys reject their row only", () => {
  const rows = [one([[1, -1]]), one([[1, -Infinity]]), one([[1, Infinity]]), one([[1, NaN]]), one([[3, -2]])];
  const { rows: made, rejected } = run({ p: 1, classes: CLASSES }, scored(rows, 1));
  assert.deepEqual(rejected, [1, 2, 3]);
  assert.deepEqual(
    made.map((row) => row.class),
    [1, 3],
  );
});

test("P beyond what is archived is refused, unless every class is archived", () => {
  const all = one([...Array(CLASSES).keys()].map((n) => [n, -n]));
  assert.equal(run({ p: 10, classes: CLASSES }, scored([all], CLASSES)).rows.length, CLASSES);
  assert.throws(() => run({ p: 2, classes: CLASSES }, scored([one([[0, -1]])], 1)), { code: "E_SELECTION" });
  for (const p of [0, -1, 1.5, NaN]) assert.throws(() => candidates({ p, classes: CLASSES }), { code: "E_SELECTION" });
});

test("an archive that contradicts the parameters is refused", () => {
  const wrong = [
    one([[CLASSES, -1]]),
    one([[-1, -1]]),
    one([[0, -1]], { partition: 65_536 }),
    one([[0, -1]], { offset: 2n ** 48n }),
  ];
  for (const image of wrong) {
    assert.throws(() => run({ p: 1, classes: CLASSES }, scored([image], 1)), { code: "E_SEGMENT_CORRUPT" });
  }
});
