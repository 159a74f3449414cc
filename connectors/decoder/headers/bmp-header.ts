import { counted } from "../../../schemas/counted.js";
import type { DecodePlan, ImageHeader } from "../../../schemas/decode-plan.js";
import type { ImageNote } from "../../../schemas/image-notes.js";
import { SluiceError } from "../../../schemas/errors.js";
import { unpackRuns } from "../libvips/bmp-runs.js";
import { corrupt, type ByteReader } from "./byte-reader.js";
import { share } from "./channels.js";
import type { StoredPixels } from "../libvips/stored-pixels.js";

/** Windows and OS/2 bitmaps, which libvips does not read. Sources: Microsoft, BITMAPINFOHEADER, BITMAPV5HEADER; OS/2, BITMAPCOREHEADER. */
interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bitsPerPixel: number;
  /** Runs of one colour, by this many bits a pixel; null: a row after the other */
  readonly runs: 4 | 8 | null;
  readonly pixelsAt: number;
  readonly paletteAt: number;
  readonly paletteColours: number;
  /** Bytes of a colour of the palette, blue first */
  readonly paletteEntry: 3 | 4;
  /** Red, green, blue, alpha of pixels of 16 and 32 bits; 0: no such channel */
  readonly masks: readonly number[];
}

const CORE_HEADER_BYTES = 12;
/** Headers of this length and more have four masks in them, one of 40 bytes has three behind it */
const MASKED_HEADER_BYTES = 52;
const ALPHA_HEADER_BYTES = 56;
const COMPRESSION = { none: 0, runs8: 1, runs4: 2, masks: 3 };
const MASKS_OF_15_BITS = [0x7c00, 0x03e0, 0x001f, 0];
const MASKS_OF_32_BITS = [0x00ff0000, 0x0000ff00, 0x000000ff, 0];

function parse(reader: ByteReader): Bitmap {
  const headerSize = reader.u32(14, true);
  if (headerSize === CORE_HEADER_BYTES) return parseCore(reader);
  if (headerSize < 40) throw unsupported(`a header of ${counted(headerSize, "byte")}`);
  const bitsPerPixel = reader.u16(28, true);
  const compression = reader.u32(30, true);
  const runs =
    compression === COMPRESSION.runs8 && bitsPerPixel === 8
      ? 8
      : compression === COMPRESSION.runs4 && bitsPerPixel === 4
        ? 4
        : null;
  // What 3 says in a header of OS/2 is another packing.
  const isMasked = compression === COMPRESSION.masks && [16, 32].includes(bitsPerPixel) && headerSize !== 64;
  const isPlain = compression === COMPRESSION.none && [1, 4, 8, 16, 24, 32].includes(bitsPerPixel);
  if (!isPlain && !isMasked && runs === null) {
    throw unsupported(`${bitsPerPixel} bits a pixel with compression ${compression}`);
  }
  const width = reader.i32le(18);
  const height = reader.i32le(22);
  if (width <= 0 || height === 0 || (runs !== null && height < 0))
    throw corrupt("bmp", `a size of ${width} x ${height}`);
  const declared = reader.u32(46, true);
  const most = bitsPerPixel <= 8 ? 2 ** bitsPerPixel : 0;
  return {
    width,
    height: Math.abs(height),
    topDown: height < 0,
    bitsPerPixel,
    runs,
    pixelsAt: reader.u32(10, true),
    paletteAt: 14 + headerSize + (isMasked && headerSize < MASKED_HEADER_BYTES ? 12 : 0),
    paletteColours: declared === 0 ? most : Math.min(declared, most),
    paletteEntry: 4,
    masks: isMasked ? masksOf(reader, headerSize) : bitsPerPixel === 16 ? MASKS_OF_15_BITS : MASKS_OF_32_BITS,
  };
}

function masksOf(reader: ByteReader, headerSize: number): number[] {
  const places = headerSize >= ALPHA_HEADER_BYTES ? [54, 58, 62, 66] : [54, 58, 62];
  const masks = places.map((at) => reader.u32(at, true));
  const isContiguous = (mask: number): boolean => (mask & (mask + (mask & -mask))) === 0;
  if (masks.slice(0, 3).includes(0) || !masks.every(isContiguous)) {
    throw unsupported(`masks of ${masks.map((mask) => mask.toString(16)).join(", ")}`);
  }
  return masks;
}

function parseCore(reader: ByteReader): Bitmap {
  const bitsPerPixel = reader.u16(24, true);
  if (![1, 4, 8, 24].includes(bitsPerPixel)) throw unsupported(`${bitsPerPixel} bits a pixel in a header of OS/2`);
  const [width, height] = [reader.u16(18, true), reader.u16(20, true)];
  if (width === 0 || height === 0) throw corrupt("bmp", `a size of ${width} x ${height}`);
  return {
    width,
    height,
    topDown: false,
    bitsPerPixel,
    runs: null,
    pixelsAt: reader.u32(10, true),
    paletteAt: 14 + CORE_HEADER_BYTES,
    paletteColours: bitsPerPixel <= 8 ? 2 ** bitsPerPixel : 0,
    paletteEntry: 3,
    masks: MASKS_OF_32_BITS,
  };
}

function unsupported(found: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_FORMAT",
    `Expected a bitmap of 1, 4, 8, 16, 24 or 32 bits a pixel, plain or in runs, found ${found}. Convert it to PNG, then ingest it.`,
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

/** Runs are walked when they are decoded. */
export function isWholeBmp(reader: ByteReader): boolean {
  const bitmap = parse(reader);
  if (bitmap.runs !== null) return reader.length > bitmap.pixelsAt;
  // The padding of the last row carries nothing.
  const lastRow = Math.ceil((bitmap.width * bitmap.bitsPerPixel) / 8);
  return reader.length >= bitmap.pixelsAt + rowBytes(bitmap) * (bitmap.height - 1) + lastRow;
}

export function decodeBmp(reader: ByteReader, plan: Pick<DecodePlan, "alpha">): StoredPixels {
  const bitmap = parse(reader);
  const { width, height, bitsPerPixel, runs } = bitmap;
  const pixels = new Uint8Array(width * height * 3);
  const notes: ImageNote[] = [];
  const indices = runs === null ? null : unpackRuns(reader, bitmap.pixelsAt, width, height, runs);
  const colours = bitsPerPixel <= 8 ? paletteOf(reader, bitmap) : null;
  for (let row = 0; row < height; row++) {
    const stored = bitmap.topDown ? row : height - 1 - row;
    const into = pixels.subarray(row * width * 3, (row + 1) * width * 3);
    if (indices !== null) fromPalette(indices.subarray(stored * width, (stored + 1) * width), 8, colours!, into);
    else {
      const from = bitmap.pixelsAt + stored * rowBytes(bitmap);
      const bytes = reader.bytes.subarray(from, from + rowBytes(bitmap));
      if (colours !== null) fromPalette(bytes, bitsPerPixel, colours, into);
      else if (bitsPerPixel === 24) fromBytes(bytes, into);
      else if (fromMasks(bytes, bitmap, plan.alpha, into) && notes.length === 0) notes.push("alpha");
    }
  }
  return { pixels, width, height, channels: 3, notes };
}

/** Red, green and blue of each colour */
function paletteOf(reader: ByteReader, { paletteAt, paletteColours, paletteEntry }: Bitmap): Uint8Array {
  const colours = new Uint8Array(paletteColours * 3);
  for (let colour = 0; colour < paletteColours; colour++) {
    for (let channel = 0; channel < 3; channel++) {
      colours[colour * 3 + channel] = reader.u8(paletteAt + colour * paletteEntry + 2 - channel);
    }
  }
  return colours;
}

function fromPalette(row: Uint8Array, bits: number, colours: Uint8Array, into: Uint8Array): void {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  for (let x = 0, to = 0; to < into.length; x++, to += 3) {
    const shift = 8 - bits * ((x % perByte) + 1);
    const colour = (row[Math.floor(x / perByte)]! >> shift) & mask;
    if (colour * 3 >= colours.length) throw corrupt("bmp", `colour ${colour} of a palette of ${colours.length / 3}`);
    into.set(colours.subarray(colour * 3, colour * 3 + 3), to);
  }
}

function fromBytes(row: Uint8Array, into: Uint8Array): void {
  for (let to = 0; to < into.length; to += 3) {
    into[to] = row[to + 2]!;
    into[to + 1] = row[to + 1]!;
    into[to + 2] = row[to]!;
  }
}

/** Returns whether a pixel is transparent. */
function fromMasks(row: Uint8Array, bitmap: Bitmap, alpha: DecodePlan["alpha"], into: Uint8Array): boolean {
  const words = new DataView(row.buffer, row.byteOffset, row.length);
  const step = bitmap.bitsPerPixel / 8;
  const channels = bitmap.masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, most: mask >>> shift };
  });
  const valueOf = (word: number, { mask, shift, most }: (typeof channels)[number]): number =>
    Math.floor((((word & mask) >>> shift) * 255) / most);
  const [red, green, blue, opaque] = channels;
  const isClear = opaque !== undefined && opaque.mask !== 0 && alpha === "black";
  let seen = false;
  for (let at = 0, to = 0; to < into.length; at += step, to += 3) {
    const word = step === 2 ? words.getUint16(at, true) : words.getUint32(at, true);
    const light = isClear ? valueOf(word, opaque) : 255;
    seen ||= light < 255;
    into[to] = share(valueOf(word, red!), light);
    into[to + 1] = share(valueOf(word, green!), light);
    into[to + 2] = share(valueOf(word, blue!), light);
  }
  return seen;
}
