import sharp from "sharp";
import { digitsWithin, eachLitSquare, GLYPH_HEIGHT } from "./hex-glyphs.js";
import type { SheetImage, SheetLine, SheetRenderer } from "./sheet.js";

/** Images a line */
const WIDTH = 8;
/** px of an image's square, of the gap around each, and of the strip that tells the lines apart */
const CELL = 96;
const GAP = 4;
const STRIP = 6;
/** px of a glyph's pixel: below two, the encoder's losses make 3 and 8 look alike */
const SCALE = 2;
/** px from the top of one caption line to the next; rank, then digest */
const CAPTION_LINE = GLYPH_HEIGHT * SCALE + GAP;
const ROW = CELL + GAP + 2 * CAPTION_LINE + GAP;
const DIGEST_DIGITS = 8;

const BACKGROUND = { r: 24, g: 26, b: 30 };
const ABSENT = { r: 52, g: 56, b: 64 };
const TEXT = { r: 222, g: 226, b: 232 };
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
    const height = GAP + Math.max(1, lines.length) * ROW;
    const canvas = Buffer.alloc(width * height * 3);
    fill(canvas, width, { left: 0, top: 0, width, height }, BACKGROUND);
    for (const [index, line] of lines.entries()) {
      const top = GAP + index * ROW;
      const strip = STRIPS[index % STRIPS.length]!;
      fill(canvas, width, { left: 0, top, width: STRIP, height: ROW - 2 * GAP }, strip);
      const images = line.images.slice(0, WIDTH);
      const squares = await Promise.all(images.map(({ bytes }) => square(bytes)));
      for (const [column, pixels] of squares.entries()) {
        const left = STRIP + GAP + column * (CELL + GAP);
        caption(canvas, width, { left, top: top + CELL + GAP }, images[column]!, strip);
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

/** The rank in the line's colour, and below it the first digits of the digest. */
function caption(
  canvas: Buffer,
  canvasWidth: number,
  { left, top }: { left: number; top: number },
  { rank, sha256 }: SheetImage,
  rankColour: Colour,
): void {
  const write = (text: string, line: number, colour: Colour): void => {
    eachLitSquare(text.slice(0, digitsWithin(CELL, SCALE)), SCALE, (x, y, size) => {
      const area = { left: left + x, top: top + line * CAPTION_LINE + y, width: size, height: size };
      fill(canvas, canvasWidth, area, colour);
    });
  };
  write(String(rank), 0, rankColour);
  write(sha256.slice(0, DIGEST_DIGITS), 1, TEXT);
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
