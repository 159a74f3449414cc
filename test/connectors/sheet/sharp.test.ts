import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { eachLitSquare } from "../../../connectors/sheet/hex-glyphs.js";
import { sharpSheets } from "../../../connectors/sheet/sharp.js";
import type { SheetImage } from "../../../connectors/sheet/sheet.js";

const flat = (r: number, g: number, b: number, format: "png" | "jpeg" | "webp", channels: 3 | 4 = 3) =>
  sharp({ create: { width: 40, height: 40, channels, background: { r, g, b, alpha: 1 } } })
    .toFormat(format)
    .toBuffer();

const SHA256 = "0123456789abcdef".repeat(4);
const images = (...bytes: readonly (Uint8Array | null)[]): SheetImage[] =>
  bytes.map((one, index) => ({ bytes: one, rank: index + 1, sha256: SHA256 }));

/** px from one line's top to the next: a square of 96, two caption lines of 18, gaps of 4 */
const ROW = 140;

/** The colour of the square in a line and column of a sheet: 6 px strip, squares of 96 px with gaps of 4. */
async function colourAt(sheet: Uint8Array, line: number, column: number): Promise<number[]> {
  const { data, info } = await sharp(sheet).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = ((4 + line * ROW + 48) * info.width + 10 + column * 100 + 48) * 3;
  return [...data.subarray(at, at + 3)];
}

const near = (found: number[], expected: number[]): void => {
  assert.ok(
    found.every((value, channel) => Math.abs(value - expected[channel]!) < 16),
    `${found.join()} is not near ${expected.join()}`,
  );
};

test("draws each image in its place, whatever its format and colours", async () => {
  const grey = await sharp({ create: { width: 30, height: 30, channels: 3, background: { r: 120, g: 120, b: 120 } } })
    .toColourspace("b-w")
    .png()
    .toBuffer();
  const sheet = await sharpSheets.render([
    { name: "best", images: images(await flat(250, 0, 0, "png"), await flat(0, 250, 0, "jpeg")) },
    { name: "median", images: images(grey, await flat(0, 0, 250, "webp", 4)) },
    { name: "worst", images: [] },
  ]);
  const { format, width, height } = await sharp(sheet).metadata();
  assert.deepEqual({ format, width, height }, { format: "webp", width: 10 + 8 * 100, height: 4 + 3 * ROW });
  near(await colourAt(sheet, 0, 0), [250, 0, 0]);
  near(await colourAt(sheet, 0, 1), [0, 250, 0]);
  near(await colourAt(sheet, 1, 0), [120, 120, 120]);
  near(await colourAt(sheet, 1, 1), [0, 0, 250]);
});

test("draws absent and broken images as empty squares, and the rest all the same", async () => {
  const whole = await flat(250, 250, 0, "png");
  const given = images(null, new Uint8Array([1, 2, 3]), whole.subarray(0, 60), whole);
  const sheet = await sharpSheets.render([{ name: "best", images: given }]);
  for (const column of [0, 1, 2]) near(await colourAt(sheet, 0, column), [52, 56, 64]);
  near(await colourAt(sheet, 0, 3), [250, 250, 0]);
});

test("equal images give equal bytes", async () => {
  const lines = [{ name: "best", images: images(await flat(10, 200, 30, "jpeg"), null) }];
  assert.deepEqual(await sharpSheets.render(lines), await sharpSheets.render(lines));
});

test("rank and first digits of the digest can be read below each image", async () => {
  const digests = ["0123456789", "89abcdef00", "deadbeef00"].map((start) => start.padEnd(64, "0"));
  const ranks = [1, 23, 4567890];
  const line = { name: "best", images: digests.map((sha256, index) => ({ bytes: null, rank: ranks[index]!, sha256 })) };
  const { data, info } = await sharp(await sharpSheets.render([line]))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  for (const [column, sha256] of digests.entries()) {
    const at = { left: 10 + column * 100, top: 4 + 96 + 4 };
    assert.equal(readDigits(data, info.width, at.left, at.top), String(ranks[column]));
    assert.equal(readDigits(data, info.width, at.left, at.top + 18), sha256.slice(0, 8));
  }
});

/** Up to eight digits at a place of a grey picture: each the one whose shape it is most like; none where it is dark. */
function readDigits(grey: Uint8Array, width: number, left: number, top: number): string {
  let text = "";
  for (let place = 0; place < 8; place++) {
    const lit = (x: number, y: number): number => (grey[(top + y) * width + left + place * 12 + x]! > 80 ? 1 : 0);
    const found = Array.from({ length: 140 }, (_, at) => lit(at % 10, Math.floor(at / 10)));
    if (!found.includes(1)) break;
    const unlikeness = Array.from("0123456789abcdef", (digit) => {
      const shape = new Array<number>(140).fill(0);
      eachLitSquare(digit, 2, (x, y) => {
        for (const [dx, dy] of [
          [0, 0],
          [1, 0],
          [0, 1],
          [1, 1],
        ] as const)
          shape[(y + dy) * 10 + x + dx] = 1;
      });
      return { digit, differing: shape.filter((value, at) => value !== found[at]).length };
    }).sort((a, b) => a.differing - b.differing);
    assert.ok(unlikeness[0]!.differing * 3 < unlikeness[1]!.differing, "no two digits are as like");
    text += unlikeness[0]!.digit;
  }
  return text;
}
