import { crc32 } from "node:zlib";
import type { Database } from "lmdb";
import { SluiceError } from "../../../schemas/errors.js";

export type ByteTable = Database<Buffer, Buffer>;

/** CRC-32 of the key and the value, little-endian, behind the value */
const CRC_BYTES = 4;

/** Keys `start` (inclusive) to `end` (exclusive); with `reverse` from `start` down to `end`. */
export interface TableRange {
  readonly start: Buffer;
  readonly end?: Buffer;
  readonly exclusiveStart?: boolean;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/**
 * A table of the log's file whose entries each carry a checksum: lmdb itself has none, and a flipped bit in a value would
 * pass for what was written. `put`, `remove` and `clear` are for write transactions.
 */
export class CheckedTable {
  readonly #folder: string;
  readonly #name: string;
  readonly #table: ByteTable;

  constructor(folder: string, name: string, table: ByteTable) {
    this.#folder = folder;
    this.#name = name;
    this.#table = table;
  }

  /** Throws E_LOG_CORRUPT. */
  get(key: Buffer): Buffer | undefined {
    const sealed = this.#table.get(key);
    return sealed === undefined ? undefined : this.#opened(key, sealed);
  }

  put(key: Buffer, value: Buffer): void {
    void this.#table.put(key, sealed(key, value));
  }

  remove(key: Buffer): void {
    void this.#table.remove(key);
  }

  clear(): void {
    void this.#table.clearAsync();
  }

  keys(range: TableRange): Iterable<Buffer> {
    return this.#table.getKeys(range);
  }

  /** Ascending by key. Throws E_LOG_CORRUPT. */
  *entries(range: TableRange): Generator<{ readonly key: Buffer; readonly value: Buffer }, void, undefined> {
    for (const { key, value } of this.#table.getRange(range)) yield { key, value: this.#opened(key, value) };
  }

  get size(): number {
    return (this.#table.getStats() as { entryCount?: number }).entryCount ?? 0;
  }

  #opened(key: Buffer, bytes: Buffer): Buffer {
    const value = valueOf(key, bytes);
    if (value !== null) return value;
    throw logCorrupt(
      this.#folder,
      `the entry ${JSON.stringify(key.toString("latin1"))} of its table "${this.#name}" has another checksum than the one written with it`,
    );
  }
}

function sealed(key: Buffer, value: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(value.length + CRC_BYTES);
  bytes.set(value);
  bytes.writeUInt32LE(crcOf(key, value), value.length);
  return bytes;
}

/** The key comes last, since it is never empty: zlib takes no bytes for a new beginning. */
function crcOf(key: Buffer, value: Buffer): number {
  return crc32(key, crc32(value));
}

/** The value of a stored entry, a view; null where it is not as it was written. */
export function valueOf(key: Buffer, bytes: Buffer): Buffer | null {
  if (bytes.length < CRC_BYTES) return null;
  const value = bytes.subarray(0, bytes.length - CRC_BYTES);
  return crcOf(key, value) === bytes.readUInt32LE(value.length) ? value : null;
}

/** `found`: what is wrong in the log's file. */
export function logCorrupt(folder: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "E_LOG_CORRUPT",
    `Expected the embedded log in ${folder} as it was written, found damage in data.mdb: ${found}. What is archived is not touched by it. ` +
      "`sluice log rebuild` puts the damaged folder aside and begins a new log where the archive ends.",
    { cause, folder, found },
  );
}
