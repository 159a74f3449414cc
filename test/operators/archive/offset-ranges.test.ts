import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { lengthOf, meets, without, type OffsetRange } from "../../../operators/archive/offset-ranges.js";

const range = fc.tuple(fc.nat(40), fc.nat(12)).map(([start, length]): OffsetRange => ({ start, end: start + length }));
const offsets = ({ start, end }: OffsetRange): number[] => Array.from({ length: end - start }, (_, at) => start + at);

test("what is left of a range are the offsets that nothing else has, in as few ranges as possible", () => {
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 6 }), (whole, taken) => {
      const gone = new Set(taken.flatMap(offsets));
      const wanted = offsets(whole).filter((offset) => !gone.has(offset));
      const left = without(whole, taken);
      assert.deepEqual(left.flatMap(offsets), wanted);
      assert.equal(lengthOf(left), wanted.length);
      assert.ok(left.every(({ start }, at) => at === 0 || start > left[at - 1]!.end));
    }),
  );
});

test("ranges meet where they share an offset", () => {
  fc.assert(
    fc.property(range, range, (a, b) => {
      const shared = offsets(a).some((offset) => offsets(b).includes(offset));
      assert.equal(meets(a, b), shared);
    }),
  );
});

test("what a live chain has is never left", () => {
  assert.deepEqual(
    without({ start: 3, end: Number.POSITIVE_INFINITY }, [{ start: 8, end: Number.POSITIVE_INFINITY }]),
    [{ start: 3, end: 8 }],
  );
});
