import type { ByteReader } from "./byte-reader.js";

const STRIPS = { offsets: 273, counts: 279 };
const TILES = { offsets: 324, counts: 325 };
/** Bytes of one value by the field's type, from 1 (BYTE) on; 14 and 15 are no types */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

interface Field {
  readonly type: number;
  readonly count: number;
  /** Where its values begin */
  readonly at: number;
}

/**
 * Whether the first directory of a TIFF, its values, and the strips or tiles that it points to, lie within the file. libvips reports a
 * directory beyond the end as an unknown format. Source: TIFF 6.0, section 2; BigTIFF.
 */
export function isWholeTiff(reader: ByteReader): boolean {
  const littleEndian = reader.u16(0) === 0x4949;
  const big = reader.u16(2, littleEndian) === 43;
  const u64 = (at: number): number =>
    reader.u32(at + (littleEndian ? 0 : 4), littleEndian) +
    reader.u32(at + (littleEndian ? 4 : 0), littleEndian) * 2 ** 32;
  const word = (at: number): number => (big ? u64(at) : reader.u32(at, littleEndian));
  const fields = new Map<number, Field>();
  try {
    const directory = word(big ? 8 : 4);
    const entries = big ? u64(directory) : reader.u16(directory, littleEndian);
    const entryBytes = big ? 20 : 12;
    const first = directory + (big ? 8 : 2);
    // Behind the entries stands where the next directory is.
    word(first + entries * entryBytes);
    for (let entry = 0; entry < entries; entry++) {
      const at = first + entry * entryBytes;
      const type = reader.u16(at + 2, littleEndian);
      const count = word(at + 4);
      const inline = at + (big ? 12 : 8);
      const sizeBytes = (TYPE_BYTES[type] ?? 0) * count;
      const values = sizeBytes <= (big ? 8 : 4) ? inline : word(inline);
      if (values + sizeBytes > reader.length) return false;
      fields.set(reader.u16(at, littleEndian), { type, count, at: values });
    }
    for (const { offsets, counts } of [STRIPS, TILES]) {
      const places = fields.get(offsets);
      const sizes = fields.get(counts);
      if (places === undefined || sizes === undefined) continue;
      for (let part = 0; part < Math.min(places.count, sizes.count); part++) {
        if (valueOf(places, part) + valueOf(sizes, part) > reader.length) return false;
      }
    }
    return true;
  } catch {
    return false;
  }

  function valueOf({ type, at }: Field, index: number): number {
    if (type === 3) return reader.u16(at + index * 2, littleEndian);
    return type === 16 ? u64(at + index * 8) : reader.u32(at + index * 4, littleEndian);
  }
}
