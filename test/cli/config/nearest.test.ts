import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { editDistance, nearest } from "../../../cli/config/nearest.js";

test("one slip is found, another word is not", () => {
  const names = ["engine", "decode", "archive", "k", "p"];
  assert.equal(nearest("engin", names), "engine");
  assert.equal(nearest("Engine", names), "engine");
  assert.equal(nearest("enigne", names), "engine");
  assert.equal(nearest("kk", names), "k");
  assert.equal(nearest("teacher", names), null);
  assert.equal(nearest("x", []), null);
});

test("distance: zero for the same word alone, symmetric, one for a swap, at most the longer length", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      assert.equal(editDistance(a, b), editDistance(b, a));
      assert.equal(editDistance(a, b) === 0, a === b);
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
      assert.equal(editDistance(`${a}xy${b}`, `${a}yx${b}`), 1);
    }),
  );
});
