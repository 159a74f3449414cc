import type { ByteReader } from "./byte-reader.js";
import { SluiceError } from "../../../schemas/errors.js";

/** Bytes of one value by the field's type, from 1 (BYTE) on; 14 and 15 are no types */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const SHORTS = new Set([3, 8]);
const BYTES = new Set([1, 2, 6, 7]);
/** Values read of one field: no field that decides anything has more but the places of strips */
const MOST_VALUES = 65_536;

interface Field {
  readonly type: number;
  readonly count: number;
  /** Where its values begin */
  readonly at: number;
}

export interface Directory {
  /** By tag */
  readonly fields: ReadonlyMap<number, Field>;
  /** Where the next directory is, 0 for none */
  readonly next: number;
  /** Whether its values lie within the file */
  readonly isWhole: boolean;
}

const STRIPS = { offsets: 273, counts: 279 };
const TILES = { offsets: 324, counts: 325 };

/** The directories of a TIFF or BigTIFF. Sources: TIFF 6.0, section 2; BigTIFF. */
export class TiffFile {
  readonly #reader: ByteReader;
  readonly #littleEndian: boolean;
  readonly #big: boolean;

  constructor(reader: ByteReader) {
    this.#reader = reader;
    this.#littleEndian = reader.u16(0) === 0x4949;
    this.#big = reader.u16(2, this.#littleEndian) === 43;
  }

  /** Canon's own mark behind the head */
  get isCanonRaw(): boolean {
    return this.#reader.length > 10 && this.#reader.text(8, 2) === "CR";
  }

  /** The directories that follow one another, the first first; E_IMAGE_TRUNCATED where the first is not there. */
  chain(most: number): Directory[] {
    const found: Directory[] = [];
    const seen = new Set<number>();
    let at = this.#word(this.#big ? 8 : 4);
    while (at !== 0 && !seen.has(at) && found.length < most) {
      seen.add(at);
      const directory = found.length === 0 ? this.#directory(at) : this.directoryAt(at);
      if (directory === null) break;
      found.push(directory);
      at = directory.next;
    }
    return found;
  }

  /** null where it runs out of the file */
  directoryAt(at: number): Directory | null {
    try {
      return this.#directory(at);
    } catch (error) {
      if (error instanceof SluiceError && error.code === "E_IMAGE_TRUNCATED") return null;
      throw error;
    }
  }

  /** The whole numbers of a field; none where it is not there or holds none. */
  numbers({ fields }: Directory, tag: number): number[] {
    const field = fields.get(tag);
    if (field === undefined) return [];
    return Array.from({ length: Math.min(field.count, MOST_VALUES) }, (_, index) => this.#value(field, index));
  }

  bytes({ fields }: Directory, tag: number): Uint8Array | null {
    const field = fields.get(tag);
    if (field === undefined || !BYTES.has(field.type)) return null;
    const end = field.at + field.count;
    return end > this.#reader.length ? null : this.#reader.bytes.subarray(field.at, end);
  }

  /** Whether a directory, its values, and the strips or tiles that it points to, lie within the file. */
  isWhole(directory: Directory): boolean {
    if (!directory.isWhole) return false;
    for (const { offsets, counts } of [STRIPS, TILES]) {
      const places = directory.fields.get(offsets);
      const sizes = directory.fields.get(counts);
      if (places === undefined || sizes === undefined) continue;
      for (let part = 0; part < Math.min(places.count, sizes.count); part++) {
        if (this.#value(places, part) + this.#value(sizes, part) > this.#reader.length) return false;
      }
    }
    return true;
  }

  #directory(at: number): Directory {
    const reader = this.#reader;
    const entries = this.#big ? this.#u64(at) : reader.u16(at, this.#littleEndian);
    const entryBytes = this.#big ? 20 : 12;
    const first = at + (this.#big ? 8 : 2);
    // Behind the entries stands where the next directory is.
    const next = this.#word(first + entries * entryBytes);
    const fields = new Map<number, Field>();
    let isWhole = true;
    for (let entry = 0; entry < entries; entry++) {
      const from = first + entry * entryBytes;
      const type = reader.u16(from + 2, this.#littleEndian);
      const count = this.#word(from + 4);
      const inline = from + (this.#big ? 12 : 8);
      const sizeBytes = (TYPE_BYTES[type] ?? 0) * count;
      const values = sizeBytes <= (this.#big ? 8 : 4) ? inline : this.#word(inline);
      if (values + sizeBytes > reader.length) isWhole = false;
      else fields.set(reader.u16(from, this.#littleEndian), { type, count, at: values });
    }
    return { fields, next, isWhole };
  }

  #value({ type, at }: Field, index: number): number {
    const reader = this.#reader;
    if (SHORTS.has(type)) return reader.u16(at + index * 2, this.#littleEndian);
    if (BYTES.has(type)) return reader.u8(at + index);
    return type === 16 || type === 18 ? this.#u64(at + index * 8) : reader.u32(at + index * 4, this.#littleEndian);
  }

  #word(at: number): number {
    return this.#big ? this.#u64(at) : this.#reader.u32(at, this.#littleEndian);
  }

  #u64(at: number): number {
    const [low, high] = this.#littleEndian ? [0, 4] : [4, 0];
    return this.#reader.u32(at + low, this.#littleEndian) + this.#reader.u32(at + high, this.#littleEndian) * 2 ** 32;
  }
}

/** Whether the first directory of a TIFF and all that it points to lie within the file. */
export function isWholeTiff(reader: ByteReader): boolean {
  try {
    const file = new TiffFile(reader);
    const [first] = file.chain(1);
    return first !== undefined && file.isWhole(first);
  } catch (error) {
    if (error instanceof SluiceError && error.code === "E_IMAGE_TRUNCATED") return false;
    throw error;
  }
}
