import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { perceptualHash } from "../../../operators/pure/perceptual-hash.js";

/** The documented definition in whole numbers, cell by cell. */
function slowHash(pixels: Uint8Array, width: number, height: number, channels: 1 | 3): bigint {
  const cell = (column: number, row: number): { sum: bigint; area: bigint } => {
    let sum = 0n;
    let area = 0n;
    for (let y = 0; y < height; y++) {
      if (y < Math.floor((row * height) / 8) || y >= Math.floor(((row + 1) * height) / 8)) continue;
      for (let x = 0; x < width; x++) {
        if (x < Math.floor((column * width) / 9) || x >= Math.floor(((column + 1) * width) / 9)) continue;
        const at = (y * width + x) * channels;
        const [r, g, b] = channels === 1 ? [pixels[at]!, pixels[at]!, pixels[at]!] : pixels.subarray(at, at + 3);
        sum += BigInt(2126 * r! + 7152 * g! + 722 * b!);
        area += 1n;
      }
    }
    return { sum, area };
  };
  let bits = "";
  for (let row = 0; row < 8; row++) {
    for (let column = 1; column < 9; column++) {
      const left = cell(column - 1, row);
      const here = cell(column, row);
      bits += here.sum * left.area > left.sum * here.area ? "1" : "0";
    }
  }
  return BigInt(`0b${bits}`);
}

test("is the documented definition", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 9, max: 40 }),
      fc.integer({ min: 8, max: 40 }),
      fc.constantFrom(1 as const, 3 as const),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.constantFrom(1, 64, 255),
      (width, height, channels, seed, step) => {
        const pixels = Uint8Array.from(
          { length: width * height * channels },
          (_, at) => (Math.imul(at + seed, 2654435761) >>> 13) & step,
        );
        assert.equal(perceptualHash(pixels, width, height, channels), slowHash(pixels, width, height, channels));
      },
    ),
    { seed: 5 },
  );
});

test("brighter to the right is all ones, to the left or flat all zeros; bit 63 is the top left", () => {
  const ramp = (value: (x: number, y: number) => number): Uint8Array =>
    Uint8Array.from({ length: 18 * 16 }, (_, at) => value(at % 18, Math.floor(at / 18)));
  assert.equal(
    perceptualHash(
      ramp((x) => x * 10),
      18,
      16,
      1,
    ),
    0xffffffffffffffffn,
  );
  assert.equal(
    perceptualHash(
      ramp((x) => 200 - x * 10),
      18,
      16,
      1,
    ),
    0n,
  );
  assert.equal(
    perceptualHash(
      ramp(() => 77),
      18,
      16,
      1,
    ),
    0n,
  );
  assert.equal(
    perceptualHash(
      ramp((x, y) => (y < 2 && x >= 2 && x < 4 ? 200 : 0)),
      18,
      16,
      1,
    ),
    1n << 63n,
  );
  assert.equal(
    perceptualHash(
      ramp((x, y) => (y >= 14 && x >= 16 ? 200 : 0)),
      18,
      16,
      1,
    ),
    1n,
  );
});

test("a narrower view has none", () => {
  assert.equal(
    perceptualHash(
      new Uint8Array(8 * 30).map((_, at) => at),
      8,
      30,
      1,
    ),
    0n,
  );
  assert.equal(
    perceptualHash(
      new Uint8Array(30 * 7).map((_, at) => at),
      30,
      7,
      1,
    ),
    0n,
  );
  assert.notEqual(
    perceptualHash(
      new Uint8Array(9 * 8).map((_, at) => at),
      9,
      8,
      1,
    ),
    0n,
  );
});
