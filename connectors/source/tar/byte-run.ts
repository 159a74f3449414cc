import type { FileHandle } from "node:fs/promises";

/** Bytes that are read once, from the first to the last. */
export interface ByteRun {
  /** How many bytes lie before the next one */
  readonly at: number;
  /** Fills `bytes` with what comes next. Returns how many there were: fewer only at the end. */
  fill(bytes: Buffer): Promise<number>;
  /** Passes over bytes. Returns how many there were: fewer only at the end. */
  skip(count: number): Promise<number>;
  /** Ends what gives the bytes. */
  close(): Promise<void>;
}

/** Enough for the headers of small members that follow each other, little beside a photograph that is passed over. */
const WINDOW_BYTES = 64 * 1024;

/** A file's bytes; what is passed over is not read. */
export class FileRun implements ByteRun {
  readonly #handle: FileHandle;
  readonly #sizeBytes: number;
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #windowAt = 0;
  #windowBytes = 0;
  #at = 0;

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  get at(): number {
    return this.#at;
  }

  async fill(bytes: Buffer): Promise<number> {
    let filled = 0;
    while (filled < bytes.length) {
      const from = this.#at - this.#windowAt;
      if (from >= 0 && from < this.#windowBytes) {
        const copied = this.#window.copy(bytes, filled, from, this.#windowBytes);
        filled += copied;
        this.#at += copied;
      } else if (bytes.length - filled >= WINDOW_BYTES) {
        const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, this.#at);
        if (bytesRead === 0) break;
        filled += bytesRead;
        this.#at += bytesRead;
      } else {
        const { bytesRead } = await this.#handle.read(this.#window, 0, WINDOW_BYTES, this.#at);
        if (bytesRead === 0) break;
        this.#windowAt = this.#at;
        this.#windowBytes = bytesRead;
      }
    }
    return filled;
  }

  async skip(count: number): Promise<number> {
    const skipped = Math.max(0, Math.min(count, this.#sizeBytes - this.#at));
    this.#at += skipped;
    return skipped;
  }

  // The handle is the caller's.
  async close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Bytes that come in chunks. */
export class ChunkRun implements ByteRun {
  readonly #chunks: AsyncGenerator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(chunks: AsyncGenerator<Uint8Array>) {
    this.#chunks = chunks;
  }

  get at(): number {
    return this.#at;
  }

  async fill(bytes: Buffer): Promise<number> {
    let filled = 0;
    while (filled < bytes.length && (await this.#hasMore())) {
      const taken = this.#take(bytes.length - filled);
      bytes.set(taken, filled);
      filled += taken.length;
    }
    return filled;
  }

  async skip(count: number): Promise<number> {
    let skipped = 0;
    while (skipped < count && (await this.#hasMore())) skipped += this.#take(count - skipped).length;
    return skipped;
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  async #hasMore(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return true;
  }

  #take(most: number): Uint8Array {
    const taken = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.#at += taken.length;
    return taken;
  }
}
