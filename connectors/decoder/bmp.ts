import type { ImageHeader } from "../../schemas/decode-plan.js";
import { SluiceError } from "../../schemas/errors.js";
import { corrupt, type ByteReader } from "./byte-reader.js";

/** Uncompressed Windows bitmaps, which libvips does not read. Source: Microsoft, BITMAPINFOHEADER. */
interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bitsPerPixel: number;
  readonly pixelsAt: number;
  readonly paletteAt: number;
  readonly paletteColours: number;
}

const BI_RGB = 0;
const BI_BITFIELDS = 3;
/** BGRX as one little-endian word: the only masks that 32-bit bitmaps are found with in practice */
const COMMON_MASKS = [0x00ff0000, 0x0000ff00, 0x000000ff];

function parse(reader: ByteReader): Bitmap {
  const headerSize = reader.u32(14, true);
  if (headerSize < 40) throw unsupported(`an OS/2 header of ${headerSize} bytes`);
  const bitsPerPixel = reader.u16(28, true);
  const compression = reader.u32(30, true);
  const masks = [54, 58, 62].map((at) => (compression === BI_BITFIELDS ? reader.u32(at, true) : 0));
  const plain = compression === BI_RGB && [1, 4, 8, 24, 32].includes(bitsPerPixel);
  const masked =
    compression === BI_BITFIELDS && bitsPerPixel === 32 && masks.every((mask, at) => mask === COMMON_MASKS[at]);
  if (!plain && !masked) throw unsupported(`${bitsPerPixel} bits a pixel with compression ${compression}`);
  const width = reader.i32le(18);
  const height = reader.i32le(22);
  if (width <= 0 || height === 0) throw corrupt("bmp", `a size of ${width} x ${height}`);
  const declared = reader.u32(46, true);
  const most = bitsPerPixel <= 8 ? 2 ** bitsPerPixel : 0;
  return {
    width,
    height: Math.abs(height),
    topDown: height < 0,
    bitsPerPixel,
    pixelsAt: reader.u32(10, true),
    paletteAt: 14 + headerSize,
    paletteColours: declared === 0 ? most : Math.min(declared, most),
  };
}

function unsupported(found: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_FORMAT",
    `Expected an uncompressed bitmap of 1, 4, 8, 24 or 32 bits a pixel, found ${found}. Convert it to PNG, then ingest it.`,
  );
}

export function readBmpHeader(reader: ByteReader): ImageHeader {
  const { width, height } = parse(reader);
  return {
    format: "bmp",
    width,
    height,
    frames: 1,
    colourSpace: "srgb",
    bitsPerChannel: 8,
    orientation: 1,
    colourProfile: null,
  };
}

const rowBytes = ({ width, bitsPerPixel }: Bitmap): number => Math.ceil((width * bitsPerPixel) / 32) * 4;

export function isWholeBmp(reader: ByteReader): boolean {
  const bitmap = parse(reader);
  return reader.length >= bitmap.pixelsAt + rowBytes(bitmap) * bitmap.height;
}

/** RGB, u8, [height x width x 3]. The fourth byte of 32-bit pixels is unused in this format, and ignored. */
export function decodeBmp(reader: ByteReader): Uint8Array {
  const bitmap = parse(reader);
  const { width, height, bitsPerPixel, pixelsAt } = bitmap;
  const { bytes } = reader;
  const stride = rowBytes(bitmap);
  const out = new Uint8Array(width * height * 3);
  for (let row = 0, to = 0; row < height; row++) {
    const from = pixelsAt + (bitmap.topDown ? row : height - 1 - row) * stride;
    if (bitsPerPixel >= 24) {
      for (let x = 0, at = from; x < width; x++, at += bitsPerPixel / 8, to += 3) {
        out[to] = bytes[at + 2]!;
        out[to + 1] = bytes[at + 1]!;
        out[to + 2] = bytes[at]!;
      }
      continue;
    }
    const perByte = 8 / bitsPerPixel;
    const mask = 2 ** bitsPerPixel - 1;
    for (let x = 0; x < width; x++, to += 3) {
      const shift = 8 - bitsPerPixel * ((x % perByte) + 1);
      const colour = (bytes[from + Math.floor(x / perByte)]! >> shift) & mask;
      if (colour >= bitmap.paletteColours)
        throw corrupt("bmp", `colour ${colour} of a palette of ${bitmap.paletteColours}`);
      const entry = bitmap.paletteAt + colour * 4;
      out[to] = reader.u8(entry + 2);
      out[to + 1] = reader.u8(entry + 1);
      out[to + 2] = reader.u8(entry);
    }
  }
  return out;
}
