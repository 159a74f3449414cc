/** px of a glyph, and the gap after it, before scaling */
const GLYPH_WIDTH = 5;
export const GLYPH_HEIGHT = 7;
const ADVANCE = GLYPH_WIDTH + 1;

/**
 * The sixteen hexadecimal digits, seven rows of five pixels each (bit 4 is the left one): ranks and digests are written with
 * them, so that a sheet needs no font of the machine's and is the same everywhere.
 */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  "0": [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
  "1": [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
  "2": [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
  "3": [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
  "4": [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
  "5": [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
  "6": [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
  "7": [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
  "8": [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
  "9": [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
  a: [0b00000, 0b00000, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111],
  b: [0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
  c: [0b00000, 0b00000, 0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
  d: [0b00001, 0b00001, 0b01111, 0b10001, 0b10001, 0b10001, 0b01111],
  e: [0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110],
  f: [0b00110, 0b01001, 0b01000, 0b11110, 0b01000, 0b01000, 0b01000],
};

/** Calls `paint` with each lit pixel of a text of hexadecimal digits, as squares of `scale` px: left, top, size. */
export function eachLitSquare(
  text: string,
  scale: number,
  paint: (left: number, top: number, size: number) => void,
): void {
  for (const [index, digit] of Array.from(text).entries()) {
    for (const [row, bits] of (GLYPHS[digit] ?? []).entries()) {
      for (let column = 0; column < GLYPH_WIDTH; column++) {
        if ((bits & (1 << (GLYPH_WIDTH - 1 - column))) !== 0)
          paint((index * ADVANCE + column) * scale, row * scale, scale);
      }
    }
  }
}

/** How many digits fit a width, px. */
export function digitsWithin(widthPx: number, scale: number): number {
  return Math.floor((widthPx + scale) / (ADVANCE * scale));
}
