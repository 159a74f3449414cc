/** How long a thread sleeps at most before it looks again, ms: it is woken when room is given back */
const LOOK_MS = 100;

/** Bounds the pixels of images in decoding at once, in all threads that share its memory. An image beyond the bound is decoded alone. */
export class PixelRoom {
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  }

  readonly #used: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#used = new Int32Array(memory);
  }

  /** Stops this thread until there is room. */
  take(pixels: number, most: number): void {
    for (;;) {
      const used = Atomics.load(this.#used, 0);
      if (used > 0 && used + pixels > most) Atomics.wait(this.#used, 0, used, LOOK_MS);
      else if (Atomics.compareExchange(this.#used, 0, used, used + pixels) === used) return;
    }
  }

  give(pixels: number): void {
    Atomics.sub(this.#used, 0, pixels);
    Atomics.notify(this.#used, 0);
  }
}
