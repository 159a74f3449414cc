import type { Store } from "../../connectors/store/store.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { readSegment, SegmentMemory, segmentStart } from "./chain.js";

export interface FoundRow {
  readonly batch: ScoredBatch;
  readonly row: number;
}

/**
 * Finds archived rows of one chain by their offsets, asked for in ascending order: each segment is read once. A found row
 * is valid until the next `find`.
 */
export class SegmentLookup {
  readonly #store: Store;
  readonly #chain: ChainName;
  readonly #starts: readonly number[];
  #at = 0;
  #loaded = -1;
  #batch: ScoredBatch | null = null;
  /** Where `#batch` is, and where the next segment is read to meanwhile */
  #memory = new SegmentMemory();
  #memoryAhead = new SegmentMemory();
  readonly #readsAhead: boolean;
  #ahead: { readonly start: number; readonly batch: Promise<ScoredBatch> } | null = null;

  private constructor(store: Store, chain: ChainName, starts: readonly number[], readsAhead: boolean) {
    this.#store = store;
    this.#chain = chain;
    this.#starts = starts;
    this.#readsAhead = readsAhead;
  }

  /** `rows`: how many will be asked for; where they are as many as segments, the next segment is read ahead. */
  static async open(store: Store, chain: ChainName, rows: number): Promise<SegmentLookup> {
    // The listing only says where to look; that a segment covers an offset is read from the segment itself.
    const starts: number[] = [];
    for await (const { key } of store.list(keys.chain(chain))) {
      if (key.endsWith(".arrow")) starts.push(segmentStart(key));
    }
    return new SegmentLookup(store, chain, starts, rows >= starts.length);
  }

  /** The same as `find` where the segment read last has the row, else null: nothing has to be waited for. */
  here(offset: number, isWanted: (batch: ScoredBatch, row: number) => boolean): FoundRow | null {
    const batch = this.#batch;
    const row = batch === null ? -1 : rowAt(batch, offset);
    return batch !== null && row >= 0 && isWanted(batch, row) ? { batch, row } : null;
  }

  /**
   * The row at an offset that `isWanted`; null where the chain has none. A repeated segment may start nearer to the offset
   * than the one that the chain leads to: where it has no such row, the earlier ones are asked.
   */
  async find(offset: number, isWanted: (batch: ScoredBatch, row: number) => boolean): Promise<FoundRow | null> {
    const starts = this.#starts;
    while (this.#at + 1 < starts.length && starts[this.#at + 1]! <= offset) this.#at++;
    for (let at = this.#at; at >= 0; at--) {
      const start = starts[at];
      if (start === undefined || start > offset) return null;
      const batch = await this.#read(start);
      const row = rowAt(batch, offset);
      if (row >= 0 && isWanted(batch, row)) return { batch, row };
    }
    return null;
  }

  async #read(start: number): Promise<ScoredBatch> {
    if (this.#loaded !== start || this.#batch === null) {
      this.#batch = null;
      if (this.#ahead?.start === start) {
        [this.#memory, this.#memoryAhead] = [this.#memoryAhead, this.#memory];
        const { batch } = this.#ahead;
        this.#ahead = null;
        this.#batch = await batch;
      } else this.#batch = await this.#fetch(start, this.#memory);
      this.#loaded = start;
      const next = this.#readsAhead ? this.#starts[this.#at + 1] : undefined;
      if (next !== undefined && this.#ahead?.start !== next) {
        await this.#ahead?.batch.catch(() => undefined);
        this.#ahead = { start: next, batch: this.#fetch(next, this.#memoryAhead) };
        // Whoever asks for it hears of it.
        this.#ahead.batch.catch(() => undefined);
      }
    }
    return this.#batch;
  }

  async #fetch(start: number, memory: SegmentMemory): Promise<ScoredBatch> {
    return (await readSegment(this.#store, this.#chain, start, memory)).batch;
  }
}

/** Row of an offset in a batch of one partition, whose offsets ascend; -1 where it has none. */
function rowAt({ offset: offsets, count }: ScoredBatch, wanted: number): number {
  // As pairs of words, low first: no BigInt is made.
  const words = new Uint32Array(offsets.buffer, offsets.byteOffset, 2 * count);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[2 * middle + 1]! * 2 ** 32 + words[2 * middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < count && words[2 * low + 1]! * 2 ** 32 + words[2 * low]! === wanted ? low : -1;
}
