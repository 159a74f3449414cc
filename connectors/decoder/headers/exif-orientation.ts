import type { ByteReader } from "./byte-reader.js";

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;
const TYPE_LONG = 4;
const PREFIX = "Exif\0\0";

/**
 * EXIF orientation from the TIFF structure in bytes [start, end), with or without the prefix that JPEG gives it. Null where there is none or
 * it is damaged: a broken EXIF block makes no broken image. What is beyond 1 to 8 counts as 1. Source: EXIF 2.32, 4.6.4 and 4.6.5.
 */
export function exifOrientation(reader: ByteReader, from: number, end: number): number | null {
  const limit = Math.min(end, reader.length);
  const start =
    from + PREFIX.length <= limit && reader.text(from, PREFIX.length) === PREFIX ? from + PREFIX.length : from;
  if (start + 8 > limit) return null;
  const order = reader.u16(start);
  if (order !== 0x4949 && order !== 0x4d4d) return null;
  const littleEndian = order === 0x4949;
  const directory = start + reader.u32(start + 4, littleEndian);
  if (directory + 2 > limit) return null;
  const entries = reader.u16(directory, littleEndian);
  for (let entry = 0, at = directory + 2; entry < entries && at + 12 <= limit; entry++, at += 12) {
    if (reader.u16(at, littleEndian) !== ORIENTATION_TAG) continue;
    const type = reader.u16(at + 2, littleEndian);
    if (type === TYPE_SHORT) return known(reader.u16(at + 8, littleEndian));
    return type === TYPE_LONG ? known(reader.u32(at + 8, littleEndian)) : 1;
  }
  return null;
}

/** Orientation as XMP has it: it is asked where EXIF says none. `text` may be the whole packet. Source: XMP, part 2, 2.4 (tiff). */
export function xmpOrientation(text: string): number | null {
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(text);
  return found === null ? null : known(Number(found[1]));
}

function known(value: number): number {
  return value >= 1 && value <= 8 ? value : 1;
}
