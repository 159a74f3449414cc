import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { choose, repeated, type RankedList } from "../../../operators/select/selection.js";

/** One row a class and image at most; few keys, so that many rows tie. */
const rowsOfClasses = fc.array(
  fc.uniqueArray(fc.record({ image: fc.nat(12), key: fc.integer({ min: -4, max: 0 }) }), {
    maxLength: 12,
    selector: ({ image }) => image,
  }),
  { minLength: 1, maxLength: 5 },
);

interface Row {
  readonly image: number;
  readonly key: number;
}

const sorted = (rows: readonly Row[]): Row[] => rows.toSorted((a, b) => b.key - a.key || a.image - b.image);

function listOf(rows: readonly Row[], depth: number): RankedList {
  const kept = rows.slice(0, depth);
  return {
    count: kept.length,
    keys: Float64Array.from(kept, ({ key }) => key),
    identity: Uint32Array.from(kept.flatMap(({ image }) => [0, 0, 0, image])),
    complete: kept.length < depth,
  };
}

/** The rules word by word, over all rows. */
function model(
  classes: readonly (readonly Row[])[],
  k: readonly number[],
  balanced: boolean,
  best: boolean,
): number[][] {
  const all = classes.flatMap((rows, index) => rows.map((row, place) => ({ ...row, index, place })));
  all.sort((a, b) => b.key - a.key || a.image - b.image || a.index - b.index);
  const taken: number[][] = classes.map(() => []);
  const images = new Set<number>();
  let room = k.reduce((sum, one) => sum + one, 0);
  for (const { image, index, place } of all) {
    if (balanced ? taken[index]!.length === k[index] : room === 0) continue;
    if (best && images.has(image)) continue;
    images.add(image);
    taken[index]!.push(place);
    room--;
  }
  return taken;
}

test("what is chosen among classes is what the rules give over all rows, or the lists are said to be too short", () => {
  let short = 0;
  fc.assert(
    fc.property(
      rowsOfClasses,
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 5, maxLength: 5 }),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 13 }),
      (classes, ks, balanced, best, depth) => {
        const ranked = classes.map(sorted);
        const k = ks.slice(0, ranked.length);
        const policy = { balanced, overlap: best ? ("best" as const) : ("all" as const) };
        const lists = ranked.map((rows) => listOf(rows, depth));
        const choice = choose(lists, Int32Array.from(k), policy);
        const expected = model(ranked, k, balanced, best);
        if (choice.rows === null) {
          short++;
          assert.ok(choice.short.length > 0 && choice.short.every((index) => !lists[index]!.complete));
          return;
        }
        assert.deepEqual(
          choice.rows.map((places) => [...places]),
          expected,
        );
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(short > 50);
});

test("lists that hold everything are never too short", () => {
  fc.assert(
    fc.property(
      rowsOfClasses,
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      fc.boolean(),
      (classes, k, balanced, best) => {
        const lists = classes.map((rows) => listOf(sorted(rows), 100));
        const policy = { balanced, overlap: best ? ("best" as const) : ("all" as const) };
        assert.notEqual(choose(lists, new Int32Array(lists.length).fill(k), policy).rows, null);
      },
    ),
  );
});

test("a scarce class is repeated in rank order up to K, and nothing stays nothing", () => {
  const { places, repeat } = repeated(Int32Array.of(4, 0, 9), 8);
  assert.deepEqual([...places], [4, 0, 9, 4, 0, 9, 4, 0]);
  assert.deepEqual([...repeat], [0, 0, 0, 1, 1, 1, 2, 2]);
  assert.equal(repeated(new Int32Array(0), 3).places.length, 0);
  assert.deepEqual([...repeated(Int32Array.of(1, 2), 2).repeat], [0, 0]);
});
