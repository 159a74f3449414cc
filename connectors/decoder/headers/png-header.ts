import { inflateSync } from "node:zlib";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { ByteReader, corrupt } from "./byte-reader.js";
import { exifOrientation, xmpOrientation } from "./exif-orientation.js";
import { orNullNow } from "../../../schemas/errors.js";

const SIGNATURE_BYTES = 8;
/** length, type and CRC around a chunk's content */
const CHUNK_OVERHEAD_BYTES = 12;

/** Reads IHDR, acTL (frames), eXIf (orientation) and iCCP, as far as they stand before the pixels. Source: PNG, third edition. */
export function readPngHeader(reader: ByteReader): ImageHeader {
  if (reader.text(SIGNATURE_BYTES + 4, 4) !== "IHDR") throw corrupt("png", "no IHDR chunk at its start");
  const colourType = reader.u8(25);
  let frames = 1;
  let fromExif: number | null = null;
  let fromText: number | null = null;
  let isBeforePixels = true;
  let hasAlpha = colourType === 4 || colourType === 6;
  let colourProfile: ImageHeader["colourProfile"] = null;
  for (let at = SIGNATURE_BYTES; at + 8 <= reader.length; at += CHUNK_OVERHEAD_BYTES + reader.u32(at)) {
    const type = reader.text(at + 4, 4);
    if (type === "IDAT") isBeforePixels = false;
    if (type === "IEND") break;
    if (type === "acTL" && isBeforePixels) frames = Math.max(1, reader.u32(at + 8));
    if (type === "iCCP") colourProfile = profileOf(reader, at + 8, reader.u32(at));
    if (type === "tRNS") hasAlpha = true;
    // Writers put these two behind the pixels, too.
    const end = at + 8 + reader.u32(at);
    if (type === "eXIf") fromExif ??= exifOrientation(reader, at + 8, end);
    if (type === "iTXt" || type === "tEXt" || type === "zTXt")
      fromText ??= textOrientation(reader.bytes.subarray(at + 8, end));
  }
  return {
    format: "png",
    width: reader.u32(16),
    height: reader.u32(20),
    frames,
    colourSpace: colourType === 0 || colourType === 4 ? "b-w" : "srgb",
    bitsPerChannel: reader.u8(24),
    orientation: fromExif ?? fromText ?? 1,
    colourProfile,
    ...(hasAlpha ? { extraChannels: "alpha" } : {}),
  };
}

const XMP_KEY = "XML:com.adobe.xmp\0";
const EXIF_KEY = "Raw profile type exif\0";

/** EXIF as hexadecimal text, as ImageMagick writes it, or XMP; either may be deflated. */
function textOrientation(content: Uint8Array): number | null {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1");
  const key = [XMP_KEY, EXIF_KEY].find((one) => text.startsWith(one));
  if (key === undefined) return null;
  const said = unpackedText(content.subarray(key.length)) ?? text.slice(key.length);
  if (key === XMP_KEY) return xmpOrientation(said);
  // "\nexif\n", the length in bytes, then the bytes
  const digits = /^\s*exif\s+\d+\s+([0-9a-f\s]*)$/i.exec(said)?.[1];
  if (digits === undefined) return null;
  const exif = new ByteReader(Buffer.from(digits.replace(/\s/g, ""), "hex"), "png");
  return exifOrientation(exif, 0, exif.length);
}

/** What a text was deflated from: zlib's bytes follow after a method (zTXt), or a flag, a method and two strings (iTXt). Null for plain text. */
function unpackedText(content: Uint8Array): string | null {
  const plain = Buffer.from(content.buffer, content.byteOffset, content.length);
  const isFlagged = plain[0] === 1 && plain[1] === 0;
  if (!isFlagged && !(plain[0] === 0 && plain[1] === ZLIB)) return null;
  const packed = isFlagged ? plain.subarray(plain.indexOf(0, plain.indexOf(0, 2) + 1) + 1) : plain.subarray(1);
  const text = orNullNow(() => inflateSync(packed, { maxOutputLength: LARGEST_PROFILE_BYTES }), ...NOT_INFLATED);
  return text?.toString("latin1") ?? null;
}

/** The first byte of what zlib deflated: method 8, a window of 32 KiB */
const ZLIB = 0x78;
/** Far above what profiles take, and a bound on what a small chunk may unpack to */
const LARGEST_PROFILE_BYTES = 4 * 1024 * 1024;

/** What zlib says of bytes that are not packed as they should be, or that unpack to more than they may */
export const NOT_INFLATED = ["Z_DATA_ERROR", "Z_BUF_ERROR", "Z_NEED_DICT", "ERR_BUFFER_TOO_LARGE"] as const;

/** iCCP: a name, a zero, the method (0), the profile deflated. */
function profileOf(reader: ByteReader, at: number, size: number): ImageHeader["colourProfile"] {
  const packed = reader.bytes.subarray(reader.bytes.indexOf(0, at) + 2, at + size);
  return orNullNow(() => inflateSync(packed, { maxOutputLength: LARGEST_PROFILE_BYTES }), ...NOT_INFLATED);
}

/** Whether the chunks go on up to IEND. Usually the last 12 bytes tell. */
export function isWholePng(reader: ByteReader): boolean {
  const last = reader.length - CHUNK_OVERHEAD_BYTES;
  if (last >= SIGNATURE_BYTES && reader.u32(last) === 0 && reader.text(last + 4, 4) === "IEND") return true;
  for (let at = SIGNATURE_BYTES; at + CHUNK_OVERHEAD_BYTES <= reader.length;) {
    if (reader.text(at + 4, 4) === "IEND") return true;
    at += CHUNK_OVERHEAD_BYTES + reader.u32(at);
  }
  return false;
}
