import { truncated, type ByteReader } from "../headers/byte-reader.js";

/**
 * Unpacks a bitmap's runs (RLE8, RLE4) into colour indices, [height x width], rows from the bottom; what no run names is colour 0.
 * Throws E_IMAGE_TRUNCATED where the file ends before they do. Source: Microsoft, "Bitmap Compression".
 */
export function unpackRuns(reader: ByteReader, start: number, width: number, height: number, bits: 4 | 8): Uint8Array {
  const out = new Uint8Array(width * height);
  let [at, x, y] = [start, 0, 0];
  const put = (colour: number): void => {
    if (x < width && y < height) out[y * width + x] = colour;
    x += 1;
  };
  while (y < height) {
    if (at + 2 > reader.length) {
      // Some writers leave out the end where the last row is full.
      if (y === height - 1 && x >= width) return out;
      throw truncated("bmp", reader.length);
    }
    const [count, value] = [reader.u8(at), reader.u8(at + 1)];
    at += 2;
    if (count > 0) {
      for (let index = 0; index < count; index++) put(bits === 8 ? value : index % 2 === 0 ? value >> 4 : value & 15);
    } else if (value === 0) [x, y] = [0, y + 1];
    else if (value === 1) return out;
    else if (value === 2) {
      x += reader.u8(at);
      y += reader.u8(at + 1);
      at += 2;
    } else {
      for (let index = 0; index < value; index++) {
        const byte = reader.u8(at + (bits === 8 ? index : index >> 1));
        put(bits === 8 ? byte : index % 2 === 0 ? byte >> 4 : byte & 15);
      }
      // Pixels that stand for themselves fill up words of 16 bits.
      at += Math.ceil((value * bits) / 16) * 2;
    }
  }
  return out;
}
