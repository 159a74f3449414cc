import type { Store } from "../../connectors/store/store.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { readSegment, segmentStart } from "./chain.js";

/** Finds archived rows of one chain by their offsets, asked for in ascending order: each segment is read once. */
export class SegmentLookup {
  readonly #store: Store;
  readonly #chain: ChainName;
  readonly #starts: readonly number[];
  #at = 0;
  #loaded = -1;
  #batch: ScoredBatch | null = null;

  private constructor(store: Store, chain: ChainName, starts: readonly number[]) {
    this.#store = store;
    this.#chain = chain;
    this.#starts = starts;
  }

  static async open(store: Store, chain: ChainName): Promise<SegmentLookup> {
    // The listing only says where to look; that a segment covers an offset is read from the segment itself.
    const starts: number[] = [];
    for await (const { key } of store.list(keys.chain(chain))) {
      if (key.endsWith(".arrow")) starts.push(segmentStart(key));
    }
    return new SegmentLookup(store, chain, starts);
  }

  /**
   * The row at an offset that `isWanted`; null where the chain has none. A repeated segment may start nearer to the offset
   * than the one that the chain leads to: where it has no such row, the earlier ones are asked.
   */
  async find(
    offset: number,
    isWanted: (batch: ScoredBatch, row: number) => boolean,
  ): Promise<{ readonly batch: ScoredBatch; readonly row: number } | null> {
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
      this.#batch = (await readSegment(this.#store, this.#chain, start)).batch;
      this.#loaded = start;
    }
    return this.#batch;
  }
}

/** Row of an offset in a batch of one partition, whose offsets ascend; -1 where it has none. */
function rowAt(batch: ScoredBatch, offset: number): number {
  const wanted = BigInt(offset);
  let low = 0;
  let high = batch.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batch.offset[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < batch.count && batch.offset[low] === wanted ? low : -1;
}
