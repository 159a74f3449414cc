import type { Scratch, Store } from "../../connectors/store/store.js";

/** Where an image lies in a spool. */
export type SpoolPlace = { readonly bytes: Uint8Array } | { readonly start: number; readonly sizeBytes: number };

/** Images go to the disk in pieces of about this size. */
const PIECE_BYTES = 2 ** 20;

/** Images between being read and being written: in memory up to a bound, then in a scratch file; without one, all in memory. */
export class ImageSpool {
  readonly #store: Pick<Store, "scratch">;
  readonly #memoryBytes: number;
  #held = 0;
  #scratch: Scratch | null = null;
  /** Of the file: where the next image goes, and from where on it still waits for its piece */
  #end = 0;
  #written = 0;
  #waiting: Uint8Array[] = [];

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
    if (this.#end - this.#written >= PIECE_BYTES) await this.#flush();
    return place;
  }

  async read(place: SpoolPlace): Promise<Uint8Array> {
    if ("bytes" in place) return place.bytes;
    if (place.start + place.sizeBytes > this.#written) await this.#flush();
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
    this.#written = 0;
    this.#waiting = [];
  }

  async close(): Promise<void> {
    const scratch = this.#scratch;
    this.#scratch = null;
    this.clear();
    await scratch?.close();
  }

  async #flush(): Promise<void> {
    const scratch = await this.#file();
    const piece = Buffer.concat(this.#waiting);
    await scratch.write(piece, this.#written);
    this.#written += piece.length;
    this.#waiting = [];
  }

  async #file(): Promise<Scratch> {
    this.#scratch ??= await this.#store.scratch!();
    return this.#scratch;
  }
}
