import sharp from "sharp";
import type { SheetLine, SheetRenderer } from "./sheet.js";

/** Images a line */
const WIDTH = 8;
/** px of an image's square, of the gap around each, and of the strip that tells the lines apart */
const CELL = 96;
const GAP = 4;
const STRIP = 6;

const BACKGROUND = { r: 24, g: 26, b: 30 };
const ABSENT = { r: 52, g: 56, b: 64 };
/** Strips of the lines, in order: green for best, amber for median, red for worst (no font is needed, or assumed) */
const STRIPS = [
  { r: 46, g: 160, b: 67 },
  { r: 210, g: 153, b: 34 },
  { r: 218, g: 54, b: 51 },
];
/** As for decoding: a header that announces more is not believed. */
const PIXEL_LIMIT = 64_000_000;

interface Colour {
  readonly r: number;
  readonly g: number;
  readonly b: number;
}

/** Contact sheets by sharp: whole images within their squares, upright, on a dark ground. */
export const sharpSheets: SheetRenderer = {
  width: WIDTH,
  async render(lines: readonly SheetLine[]): Promise<Uint8Array> {
    const width = STRIP + GAP + WIDTH * (CELL + GAP);
    const height = GAP + Math.max(1, lines.length) * (CELL + GAP);
    const canvas = Buffer.alloc(width * height * 3);
    fill(canvas, width, { left: 0, top: 0, width, height }, BACKGROUND);
    for (const [index, line] of lines.entries()) {
      const top = GAP + index * (CELL + GAP);
      fill(canvas, width, { left: 0, top, width: STRIP, height: CELL }, STRIPS[index % STRIPS.length]!);
      const squares = await Promise.all(line.images.slice(0, WIDTH).map(square));
      for (const [column, pixels] of squares.entries()) {
        const left = STRIP + GAP + column * (CELL + GAP);
        if (pixels === null) fill(canvas, width, { left, top, width: CELL, height: CELL }, ABSENT);
        else {
          for (let row = 0; row < CELL; row++) {
            pixels.copy(canvas, ((top + row) * width + left) * 3, row * CELL * 3, (row + 1) * CELL * 3);
          }
        }
      }
    }
    return sharp(canvas, { raw: { width, height, channels: 3 } })
      .webp({ quality: 80, effort: 2 })
      .toBuffer();
  },
};

/** RGB, [CELL x CELL x 3]; null for absent bytes and for an image that does not decode. */
async function square(bytes: Uint8Array | null): Promise<Buffer | null> {
  if (bytes === null) return null;
  try {
    return await sharp(bytes, { limitInputPixels: PIXEL_LIMIT, pages: 1, failOn: "error" })
      .rotate()
      .resize(CELL, CELL, { fit: "contain", background: BACKGROUND })
      .flatten({ background: BACKGROUND })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer();
  } catch {
    return null;
  }
}

function fill(
  canvas: Buffer,
  canvasWidth: number,
  area: { left: number; top: number; width: number; height: number },
  colour: Colour,
): void {
  for (let row = area.top; row < area.top + area.height; row++) {
    for (let column = area.left; column < area.left + area.width; column++) {
      const at = (row * canvasWidth + column) * 3;
      canvas[at] = colour.r;
      canvas[at + 1] = colour.g;
      canvas[at + 2] = colour.b;
    }
  }
}
