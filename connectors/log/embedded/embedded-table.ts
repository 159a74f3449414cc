import { SluiceError } from "../../../schemas/errors.js";
import type { CheckedTable } from "./checked-table.js";
import type { LmdbFolder } from "./lmdb-folder.js";

/** What lmdb takes */
const MAX_KEY_BYTES = 1978;
/** Entries read at a time while iterating: no snapshot is held in between, so writers reuse their room. */
const READ_AT_ONCE = 1_000;

export interface KeyRange {
  /** First key; default: the first there is */
  readonly from?: Uint8Array;
  /** The key to stop before; default: none */
  readonly to?: Uint8Array;
}

/**
 * A map from bytes (1 to 1978 of them) to bytes beside the log, ordered by key, on disk and not in memory. Writes are
 * all or nothing and on disk when they settle. Values returned are the caller's own.
 */
export class EmbeddedTable {
  readonly name: string;
  readonly #folder: LmdbFolder;
  readonly #write: <T>(work: () => T) => Promise<T>;
  #table: CheckedTable | null = null;

  /** Use `EmbeddedLog.table`. */
  constructor(name: string, folder: LmdbFolder, write: <T>(work: () => T) => Promise<T>) {
    this.name = name;
    this.#folder = folder;
    this.#write = write;
    if (!folder.readOnly) this.#open();
  }

  #open(): CheckedTable | null {
    this.#table ??= this.#folder.table(`table ${this.name}`);
    return this.#table;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#folder.assertOpen();
    return this.#open()?.get(bufferOf(key));
  }

  /** In the order of `keys`. */
  getMany(keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    this.#folder.assertOpen();
    const table = this.#open();
    return keys.map((key) => table?.get(bufferOf(key)));
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.putMany([[key, value]]);
  }

  async putMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void> {
    await this.#write(() => {
      for (const [key, value] of entries) this.putInTransaction(key, value);
    });
  }

  async deleteMany(keys: Iterable<Uint8Array>): Promise<void> {
    await this.#write(() => {
      for (const key of keys) this.deleteInTransaction(key);
    });
  }

  async clear(): Promise<void> {
    await this.#write(() => {
      this.clearInTransaction();
    });
  }

  /** Ascending by key, byte by byte. Entries written meanwhile may or may not be met. */
  *entries({ from, to }: KeyRange = {}): IterableIterator<[Uint8Array, Uint8Array]> {
    let last = from === undefined || from.length === 0 ? Buffer.from([0]) : bufferOf(from);
    for (let first = true; ; first = false) {
      this.#folder.assertOpen();
      const range = {
        start: last,
        exclusiveStart: !first,
        limit: READ_AT_ONCE,
        ...(to === undefined ? {} : { end: bufferOf(to) }),
      };
      const found = [...(this.#open()?.entries(range) ?? [])];
      for (const { key, value } of found) yield [key, value];
      const next = found.at(-1)?.key;
      if (found.length < READ_AT_ONCE || next === undefined) return;
      last = next;
    }
  }

  get size(): number {
    this.#folder.assertOpen();
    return this.#open()?.size ?? 0;
  }

  /** Only inside a write transaction. */
  putInTransaction(key: Uint8Array, value: Uint8Array): void {
    this.#open()?.put(checked(key), bufferOf(value));
  }

  /** Only inside a write transaction. */
  deleteInTransaction(key: Uint8Array): void {
    this.#open()?.remove(checked(key));
  }

  /** Only inside a write transaction. */
  clearInTransaction(): void {
    this.#open()?.clear();
  }
}

function checked(key: Uint8Array): Buffer {
  if (key.length >= 1 && key.length <= MAX_KEY_BYTES) return bufferOf(key);
  throw new SluiceError("E_INTERNAL", `Expected a key of 1 to ${MAX_KEY_BYTES} bytes, found ${key.length}.`);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
