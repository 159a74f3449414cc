import type { ByteReader } from "./byte-reader.js";

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;

/**
 * EXIF orientation, 1 to 8, from the TIFF structure in bytes [start, end); 1 where there is none or it is damaged: a
 * broken EXIF block makes no broken image. Source: EXIF 2.32, 4.6.4 and 4.6.5.
 */
export function exifOrientation(reader: ByteReader, start: number, end: number): number {
  const limit = Math.min(end, reader.length);
  if (start + 8 > limit) return 1;
  const order = reader.u16(start);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const littleEndian = order === 0x4949;
  const directory = start + reader.u32(start + 4, littleEndian);
  if (directory + 2 > limit) return 1;
  const entries = reader.u16(directory, littleEndian);
  for (let entry = 0, at = directory + 2; entry < entries && at + 12 <= limit; entry++, at += 12) {
    if (reader.u16(at, littleEndian) !== ORIENTATION_TAG) continue;
    if (reader.u16(at + 2, littleEndian) !== TYPE_SHORT) return 1;
    const value = reader.u16(at + 8, littleEndian);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
