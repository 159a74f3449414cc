import { crc32, inflateSync } from "node:zlib";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { ByteReader } from "../headers/byte-reader.js";
import type { StoredPixels } from "./stored-pixels.js";
import { orNullNow } from "../../../schemas/errors.js";
import { NOT_INFLATED } from "../headers/png-header.js";

/** Chunks that leave the pixels as they are: what others do to them is libvips' business. */
const PLAIN_CHUNKS = new Set(["IHDR", "IDAT", "IEND", "sRGB", "gAMA", "cHRM", "pHYs", "tEXt", "zTXt", "iTXt", "tIME"]);
const GREY = 0;
const RGB = 2;

/** Above this, libvips in another thread is no slower for the whole and leaves the event loop free. */
const MOST_PIXELS = 64 * 64;

/**
 * Decodes a small plain PNG (8-bit grey or RGB, not interlaced). A call into libvips costs some 400 microseconds whatever the image's
 * size; this takes about 30, and gives the same bytes, since PNG is lossless. Null for any other image, or one with any fault: ask libvips.
 */
export function decodeSmallPng(bytes: Uint8Array, header: ImageHeader): StoredPixels | null {
  const { width, height } = header;
  const fits =
    header.format === "png" &&
    header.bitsPerChannel === 8 &&
    header.colourProfile === null &&
    width * height <= MOST_PIXELS;
  if (!fits) return null;
  const colourType = bytes[25];
  if ((colourType !== GREY && colourType !== RGB) || bytes[28] !== 0) return null;
  const channels = colourType === GREY ? 1 : 3;
  const packed = orNullNow(() => contentOf(new ByteReader(bytes, "png")), "E_IMAGE_TRUNCATED");
  if (packed === null) return null;
  const maxOutputLength = height * (width * channels + 1);
  const filtered = orNullNow(() => inflateSync(packed, { maxOutputLength }), ...NOT_INFLATED);
  const pixels = filtered === null ? null : unfilter(filtered, width * channels, height, channels);
  return pixels === null ? null : { pixels, width, height, channels, notes: [] };
}

/** The joined IDAT chunks; null where a chunk is not a plain one or its checksum is wrong. */
function contentOf(reader: ByteReader): Uint8Array | null {
  const { bytes } = reader;
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= reader.length;) {
    const size = reader.u32(at);
    const type = reader.text(at + 4, 4);
    if (!PLAIN_CHUNKS.has(type)) return null;
    const content = bytes.subarray(at + 8, at + 8 + size);
    if (crc32(bytes.subarray(at + 4, at + 8 + size)) !== reader.u32(at + 8 + size)) return null;
    if (type === "IDAT") parts.push(content);
    if (type === "IEND") return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    at += 12 + size;
  }
  return null;
}

/** Undoes the filter of each row. null for a short image or an unknown filter. Source: PNG, third edition, clause 9. */
function unfilter(filtered: Uint8Array, rowBytes: number, height: number, step: number): Uint8Array | null {
  if (filtered.length !== height * (rowBytes + 1)) return null;
  const out = new Uint8Array(height * rowBytes);
  for (let row = 0; row < height; row++) {
    const filter = filtered[row * (rowBytes + 1)]!;
    if (filter > 4) return null;
    const from = row * (rowBytes + 1) + 1;
    const to = row * rowBytes;
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= step ? out[to + x - step]! : 0;
      const above = row > 0 ? out[to + x - rowBytes]! : 0;
      const corner = x >= step && row > 0 ? out[to + x - rowBytes - step]! : 0;
      out[to + x] = filtered[from + x]! + predicted(filter, left, above, corner);
    }
  }
  return out;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [toLeft, toAbove, toCorner] = [
    Math.abs(estimate - left),
    Math.abs(estimate - above),
    Math.abs(estimate - corner),
  ];
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}
