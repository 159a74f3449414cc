import { sha256Hex } from "../../../schemas/canonical.js";
import type { PartitionEnds } from "../log.js";

/** How the log's tables name things. */

/** partition id u32, offset u64 (of arrivals: ms u64); big-endian, so that the table's order is the log's */
export const KEY_BYTES = 12;
/** id u32 (and 4 bytes of nothing), start f64, end f64, appended bytes f64 */
const BOUNDS_BYTES = 32;
/** lmdb takes keys of up to 1978 bytes; names may be longer (a cursor named after a path). */
const MAX_NAME_BYTES = 1024;

export interface Bounds extends PartitionEnds {
  /** Stands for (topic, partition) in the records' keys */
  readonly id: number;
  /** Of all records that ever came, as they are stored */
  readonly appendedBytes: number;
}

export function encodeBounds({ id, start, end, appendedBytes }: Bounds): Buffer {
  const bytes = Buffer.alloc(BOUNDS_BYTES);
  bytes.writeUInt32LE(id, 0);
  bytes.writeDoubleLE(start, 8);
  bytes.writeDoubleLE(end, 16);
  bytes.writeDoubleLE(appendedBytes, 24);
  return bytes;
}

export function decodeBounds(bytes: Buffer): Bounds {
  return {
    id: bytes.readUInt32LE(0),
    start: bytes.readDoubleLE(8),
    end: bytes.readDoubleLE(16),
    appendedBytes: bytes.readDoubleLE(24),
  };
}

export function keyOf(id: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.writeUInt32BE(id, 0);
  key.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), 4);
  key.writeUInt32BE(offset % 0x1_0000_0000, 8);
  return key;
}

export function placeOf(key: Buffer): { readonly id: number; readonly offset: number } {
  return { id: key.readUInt32BE(0), offset: key.readUInt32BE(4) * 0x1_0000_0000 + key.readUInt32BE(8) };
}

export function offsetOf(key: Buffer): number {
  return placeOf(key).offset;
}

/** The key of a named thing: unambiguous whatever the names hold. */
export function name(...parts: readonly (string | number)[]): Buffer {
  const text = Buffer.from(JSON.stringify(parts));
  return text.length <= MAX_NAME_BYTES ? text : Buffer.from(JSON.stringify([parts[0], "sha256", sha256Hex(text)]));
}

export type NamedPlace =
  | { readonly what: "cursor"; readonly name: string }
  | { readonly what: "bounds"; readonly topic: string; readonly partition: number };

/** What a key names, where that is a cursor or a partition's bounds; null for another key, and for a name that was too long. */
export function namedPlace(key: Buffer): NamedPlace | null {
  const found = /^\["(cursor|bounds)",/.test(key.toString("latin1")) ? partsOf(key) : [];
  const [what, first, second] = found;
  if (typeof first !== "string") return null;
  if (what === "cursor" && found.length === 2) return { what, name: first };
  if (what === "bounds" && typeof second === "number") return { what, topic: first, partition: second };
  return null;
}

function partsOf(key: Buffer): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(key.toString());
    return Array.isArray(parts) ? parts : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
