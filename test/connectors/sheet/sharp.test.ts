import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { sharpSheets } from "../../../connectors/sheet/sharp.js";

const flat = (r: number, g: number, b: number, format: "png" | "jpeg" | "webp", channels: 3 | 4 = 3) =>
  sharp({ create: { width: 40, height: 40, channels, background: { r, g, b, alpha: 1 } } })
    .toFormat(format)
    .toBuffer();

/** The colour of the square in a line and column of a sheet: 6 px strip, squares of 96 px with gaps of 4. */
async function colourAt(sheet: Uint8Array, line: number, column: number): Promise<number[]> {
  const { data, info } = await sharp(sheet).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = ((4 + line * 100 + 48) * info.width + 10 + column * 100 + 48) * 3;
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
    { name: "best", images: [await flat(250, 0, 0, "png"), await flat(0, 250, 0, "jpeg")] },
    { name: "median", images: [grey, await flat(0, 0, 250, "webp", 4)] },
    { name: "worst", images: [] },
  ]);
  const { format, width, height } = await sharp(sheet).metadata();
  assert.deepEqual({ format, width, height }, { format: "webp", width: 10 + 8 * 100, height: 4 + 3 * 100 });
  near(await colourAt(sheet, 0, 0), [250, 0, 0]);
  near(await colourAt(sheet, 0, 1), [0, 250, 0]);
  near(await colourAt(sheet, 1, 0), [120, 120, 120]);
  near(await colourAt(sheet, 1, 1), [0, 0, 250]);
});

test("draws absent and broken images as empty squares, and the rest all the same", async () => {
  const whole = await flat(250, 250, 0, "png");
  const images = [null, new Uint8Array([1, 2, 3]), whole.subarray(0, 60), whole];
  const sheet = await sharpSheets.render([{ name: "best", images }]);
  for (const column of [0, 1, 2]) near(await colourAt(sheet, 0, column), [52, 56, 64]);
  near(await colourAt(sheet, 0, 3), [250, 250, 0]);
});

test("equal images give equal bytes", async () => {
  const lines = [{ name: "best", images: [await flat(10, 200, 30, "jpeg"), null] }];
  assert.deepEqual(await sharpSheets.render(lines), await sharpSheets.render(lines));
});
