import type { Scratch, Store } from "../../connectors/store/store.js";

/** Where bytes lie in a spool. */
export type SpoolPlace = { readonly bytes: Uint8Array } | { readonly start: number; readonly sizeBytes: number };

/** Bytes go to the disk in pieces of about this size. */
const PIECE_BYTES = 2 ** 20;

/** Images or rows between being read and being written: in memory up to a bound, then in a scratch file; without one, all in memory. */
export class Spool {
  readonly #store: Pick<Store, "scratch">;
  readonly #memoryBytes: number;
  #held = 0;
  #scratch: Promise<Scratch> | null = null;
  /** Of the file: where the next bytes go, and where the piece that still waits begins */
  #end = 0;
  #begun = 0;
  #waiting: Uint8Array[] = [];
  /** The pieces before it */
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Pick<Store, "scratch">, memoryBytes: number) {
    this.#store = store;
    this.#memoryBytes = memoryBytes;
  }

  async add(bytes: Uint8Array): Promise<SpoolPlace> {
    if (this.#held + bytes.length <= this.#memoryBytes || this.#store.scratch === undefined) {
      this.#held += bytes.length;
      return { bytes };
    }
    const place = { start: this.#end, sizeBytes: bytes.length };
    this.#waiting.push(bytes);
    this.#end += bytes.length;
    if (this.#end - this.#begun >= PIECE_BYTES) await this.#flush();
    return place;
  }

  async read(place: SpoolPlace): Promise<Uint8Array> {
    if ("bytes" in place) return place.bytes;
    await (place.start + place.sizeBytes > this.#begun ? this.#flush() : this.#writing);
    const scratch = await this.#file();
    return scratch.read(place.start, place.sizeBytes);
  }

  /** How many bytes may be in it at once: half of what is free, since the version's files may go to the same disk. */
  async capacity(): Promise<number> {
    if (this.#store.scratch === undefined) return this.#memoryBytes;
    return this.#memoryBytes + Math.floor((await (await this.#file()).freeBytes()) / 2);
  }

  /** Forgets what is in it. */
  clear(): void {
    this.#held = 0;
    this.#end = 0;
    this.#begun = 0;
    this.#waiting = [];
  }

  async close(): Promise<void> {
    const scratch = this.#scratch;
    this.#scratch = null;
    this.clear();
    await (await scratch)?.close();
  }

  /** Readers may come together: the piece is taken before anything is waited for, and written once. */
  #flush(): Promise<void> {
    const piece = Buffer.concat(this.#waiting);
    const at = this.#begun;
    const before = this.#writing;
    this.#waiting = [];
    this.#begun = this.#end;
    const write = async (): Promise<void> => {
      await before;
      await (await this.#file()).write(piece, at);
    };
    this.#writing = write();
    return this.#writing;
  }

  #file(): Promise<Scratch> {
    this.#scratch ??= this.#store.scratch!();
    return this.#scratch;
  }
}
