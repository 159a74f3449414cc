import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHalf, toHalf } from "../../../../connectors/engine/model-file/half-floats.js";

test("every one of the 65536 halves comes back as itself", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = fromHalf(bits);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(fromHalf(toHalf(value))));
    else assert.equal(toHalf(value), bits);
  }
});

test("a float32 becomes the nearest half, a tie the even one, beyond 65504 infinity", () => {
  // As numpy.float16 has them
  const known: readonly (readonly [number, number])[] = [
    [1 / 3, 0x3555],
    [0.1, 0x2e66],
    [-2.5, 0xc100],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [-1e30, 0xfc00],
    [2 ** -25, 0],
    [3 * 2 ** -26, 1],
    [2 ** -24, 1],
    [6.1e-5, 0x03ff],
  ];
  for (const [value, bits] of known) assert.equal(toHalf(value), bits, `${value}`);
});
