const COLUMNS = 9;
const ROWS = 8;

/**
 * The 64-bit difference hash ("dHash") of an image: Rec. 709 luma, averaged over a grid of 9 x 8 cells; a bit is 1
 * where a cell is brighter than its left neighbour. Bit 63 is the top left pair, then row by row. Cell borders lie at
 * floor(i * width / 9) and floor(j * height / 8), so that the hash is exact and the same everywhere.
 *
 * `pixels` is u8, [height x width x channels], RGB or grey. Returns 0 where the image is narrower than the grid.
 */
export function perceptualHash(pixels: Uint8Array, width: number, height: number, channels: 1 | 3): bigint {
  if (width < COLUMNS || height < ROWS) return 0n;
  let high = 0;
  let low = 0;
  for (let row = 0; row < ROWS; row++) {
    const top = Math.floor((row * height) / ROWS);
    const bottom = Math.floor(((row + 1) * height) / ROWS);
    let before = 0;
    for (let column = 0; column < COLUMNS; column++) {
      const left = Math.floor((column * width) / COLUMNS);
      const right = Math.floor(((column + 1) * width) / COLUMNS);
      const mean = lumaSum(pixels, width, channels, left, right, top, bottom) / ((right - left) * (bottom - top));
      if (column > 0 && mean > before) {
        const bit = 64 - (row * 8 + column);
        if (bit >= 32) high |= 1 << (bit - 32);
        else low |= 1 << bit;
      }
      before = mean;
    }
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Sum of 10,000 times the luma over a cell: whole numbers, exact up to 3.5 thousand million pixels a cell. */
function lumaSum(
  pixels: Uint8Array,
  width: number,
  channels: 1 | 3,
  left: number,
  right: number,
  top: number,
  bottom: number,
): number {
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let y = top; y < bottom; y++) {
    const end = (y * width + right) * channels;
    if (channels === 1) {
      for (let at = y * width + left; at < end; at++) red += pixels[at]!;
    } else {
      for (let at = (y * width + left) * 3; at < end; at += 3) {
        red += pixels[at]!;
        green += pixels[at + 1]!;
        blue += pixels[at + 2]!;
      }
    }
  }
  return channels === 1 ? red * 10_000 : red * 2126 + green * 7152 + blue * 722;
}
