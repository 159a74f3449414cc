import type { Store } from "../../connectors/store/store.js";
import { awaitedLater } from "../../schemas/errors.js";

/** Some 240 rows at top 32: what comes again mostly comes again in the order in which it came */
const BLOCK_BYTES = 64 * 1024;
/** Some 240,000 rows. */
const MOST_BYTES = 64 * 2 ** 20;

/**
 * Small ranges of objects that never change, read in blocks; those that were asked for last are held, up to a bound. Only bytes are held: what
 * is made of them is checked each time.
 */
export class ReadBlocks implements Pick<Store, "getRange"> {
  readonly #store: Pick<Store, "getRange">;
  readonly #blockBytes: number;
  readonly #mostBlocks: number;
  /** By object and number; the one that was asked for last is the last */
  readonly #held = new Map<string, Promise<Uint8Array>>();

  constructor(store: Pick<Store, "getRange">, { blockBytes = BLOCK_BYTES, mostBytes = MOST_BYTES } = {}) {
    this.#store = store;
    this.#blockBytes = blockBytes;
    this.#mostBlocks = Math.floor(mostBytes / blockBytes);
  }

  /** As the store's, in memory that is not the caller's. Longer ranges than a block are not held. */
  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    const size = this.#blockBytes;
    if (end - start > size || end <= start) return this.#store.getRange(key, start, end);
    const first = Math.floor(start / size);
    const last = Math.floor((end - 1) / size);
    const from = start - first * size;
    if (first === last) return (await this.#block(key, first)).subarray(from, from + end - start);
    const [low, high] = await Promise.all([this.#block(key, first), this.#block(key, last)]);
    return Buffer.concat([low.subarray(from), high.subarray(0, end - last * size)]);
  }

  #block(key: string, number: number): Promise<Uint8Array> {
    const name = `${key}#${number}`;
    const held = this.#held.get(name);
    if (held !== undefined) {
      this.#held.delete(name);
      this.#held.set(name, held);
      return held;
    }
    const start = number * this.#blockBytes;
    const block = awaitedLater(this.#store.getRange(key, start, start + this.#blockBytes));
    this.#held.set(name, block);
    // One that fails is not held: the next one that asks reads again.
    block.then(null, () => {
      if (this.#held.get(name) === block) this.#held.delete(name);
    });
    if (this.#held.size > this.#mostBlocks) this.#held.delete(this.#held.keys().next().value!);
    return block;
  }
}
