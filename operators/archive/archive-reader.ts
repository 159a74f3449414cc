import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { endIn, sortFrontier, type Frontier } from "../../schemas/frontier.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { LostRange } from "../../schemas/lost-range.js";
import type { Segment, SegmentHeader } from "../../schemas/segment.js";
import { NO_RECORDS, sumOfCounts } from "./run-index.js";
import { archivedChains } from "./chain.js";
import { ChainRuns } from "./chain-runs.js";
import { readLostRanges } from "./lost-ranges.js";
import type { ChainTotals } from "./chain-counts.js";
import { ChainReader, type Gap } from "./chain-reader.js";
import { ReadBlocks } from "./read-blocks.js";
import { readSegmentHeader } from "./segment-objects.js";

export interface Archive {
  readonly teacher: string;
  readonly stream: string;
}

/** A gap, and the chain that has it. */
export type ChainGap = Gap & { readonly chain: ChainName };

export interface FrontierOptions {
  /** Passes over ranges whose segments are missing or corrupt; without it they are errors */
  readonly onGap?: ((gap: ChainGap) => void) | undefined;
  /** Is told of segments that the store has and no chain leads to */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** What was known before: chains only grow, so that they are followed from there on */
  readonly from?: Frontier | undefined;
}

/** Looks for what was archived while the chains were followed, at most: scorers that are faster are not waited for. */
const LOOKS = 100;

/** Reads what one teacher has archived of one stream; it remembers what it has seen of each chain's runs. */
export class ArchiveReader {
  readonly store: Store;
  readonly archive: Archive;
  /** Of runs' files, for what is looked up a row at a time */
  readonly blocks: ReadBlocks;
  readonly #readers = new Map<string, ChainReader>();
  #lostRanges: Promise<readonly LostRange[]> | null = null;

  /** `lostRanges`: by default as the store has them when the first of them is needed */
  constructor(store: Store, { teacher, stream }: Archive, lostRanges?: readonly LostRange[]) {
    this.store = store;
    this.blocks = new ReadBlocks(store);
    this.archive = { teacher, stream };
    if (lostRanges !== undefined) this.#lostRanges = Promise.resolve(lostRanges);
  }

  /** What is declared lost, by number: the same for all chains, and as long as this reads. */
  async lostRanges(): Promise<readonly LostRange[]> {
    this.#lostRanges ??= readLostRanges(this.store, this.archive);
    try {
      return await this.#lostRanges;
    } catch (error) {
      this.#lostRanges = null;
      throw error;
    }
  }

  /** The live chains and those of replays, in the order of (partition, origin). No two of them share an offset. */
  chains(): Promise<ChainName[]> {
    return archivedChains(this.store, this.archive);
  }

  chain({ partition, origin }: Pick<ChainName, "partition" | "origin">): ChainReader {
    const chain = { ...this.archive, partition, origin };
    const name = keys.chain(chain);
    let reader = this.#readers.get(name);
    if (reader === undefined) {
      const runs = new ChainRuns(this.store, chain, () => this.lostRanges());
      this.#readers.set(name, (reader = new ChainReader(this.store, chain, runs, this.blocks)));
    }
    return reader;
  }

  /** Segments of one chain over [from, until); see `ChainReader`. */
  segments(
    chain: Pick<ChainName, "partition" | "origin">,
    from: number,
    until: number,
    onGap?: (gap: Gap) => void,
  ): AsyncGenerator<Segment, void, undefined> {
    return this.chain(chain).segments(from, until, onGap);
  }

  /** Headers of all chains, each in order, over what they have now. */
  async *headers(onGap?: (gap: Gap) => void): AsyncGenerator<SegmentHeader, void, undefined> {
    for (const chain of await this.chains()) yield* this.chain(chain).headers(chain.origin, undefined, onGap);
  }

  /**
   * Where the chains end now, live ones and replays: all of them at one moment, so that no chain lies below a checkpoint by
   * whose thresholds bytes of another were left out. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT.
   */
  async frontier({ onGap, onWarning, from: known = [] }: FrontierOptions = {}): Promise<Frontier> {
    const ends = new Map<ChainName, number>();
    const follow = async (chain: ChainName, from: number): Promise<void> => {
      const report =
        onGap &&
        ((gap: Gap): void => {
          onGap({ chain, ...gap });
        });
      ends.set(chain, await this.chain(chain).end(from, report));
    };
    for (const chain of await this.chains()) {
      await follow(chain, endIn(known, chain));
      if (onWarning !== undefined) for await (const { message } of this.repeats(chain)) onWarning(message);
    }
    // Where no chain has grown since it was followed, each ended there when the first was looked at again.
    for (let look = 0; look < LOOKS && ends.size > 1; look++) {
      let grown = false;
      for (const [chain, end] of ends) {
        if (!(await this.chain(chain).isBeyond(end))) continue;
        grown = true;
        await follow(chain, end);
      }
      if (!grown) break;
    }
    return sortFrontier([...ends].map(([{ partition, origin }, end]) => ({ partition, origin, end })));
  }

  /** Totals of all chains of a frontier; the watermark is the greatest. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT, E_CHAIN_CONFLICT. */
  async totalsAt(frontier: Frontier, onGap?: (gap: Gap) => void): Promise<ChainTotals> {
    let counts = NO_RECORDS;
    let watermarkMs: number | null = null;
    for (const { end, ...place } of frontier) {
      const totals = await this.chain(place).totalsAt(end, onGap);
      counts = sumOfCounts(counts, totals.counts);
      if (totals.watermarkMs !== null) watermarkMs = Math.max(watermarkMs ?? totals.watermarkMs, totals.watermarkMs);
    }
    return { counts, watermarkMs };
  }

  /**
   * Segments of a chain's tail that the store has and the chain does not lead to: they start within a range that another one
   * covers. They are in no version: the chain decides.
   */
  async *repeats(chain: ChainName): AsyncGenerator<Repeat, void, undefined> {
    const reader = this.chain(chain);
    const runsEnd = await reader.runs.end();
    const starts = await reader.tailStarts();
    const followed: SegmentHeader[] = [];
    for await (const header of reader.headers(Math.max(chain.origin, runsEnd), undefined, () => undefined))
      followed.push(header);
    let at = 0;
    for (const start of starts) {
      while (at < followed.length && followed[at]!.end <= start) at++;
      const within = followed[at];
      if (within === undefined || start <= within.start) continue;
      yield await repeatOf(this.store, chain, start, within);
    }
  }
}

/** A segment that starts within a range that another one of its chain covers. */
export interface Repeat {
  readonly start: number;
  /** null where it cannot be read */
  readonly end: number | null;
  /** The segment that the chain has there, [start, end) */
  readonly within: { readonly start: number; readonly end: number };
  /** What it is, and how to repair it, for people */
  readonly message: string;
}

async function repeatOf(
  store: Store,
  chain: ChainName,
  start: number,
  within: Pick<SegmentHeader, "start" | "end">,
): Promise<Repeat> {
  const key = keys.segment(chain, start);
  const end = await readableEnd(store, chain, start);
  const message =
    `Expected the segments of ${chain.stream}/${chain.partition} to follow on each other, found one over [${start}, ${end ?? "unreadable"}) ` +
    `inside [${within.start}, ${within.end}), which is archived already. It is left out of every version; delete ${key}.`;
  return { start, end, within: { start: within.start, end: within.end }, message };
}

async function readableEnd(store: Store, chain: ChainName, start: number): Promise<number | null> {
  try {
    return (await readSegmentHeader(store, chain, start))?.end ?? null;
  } catch (error) {
    if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return null;
    throw error;
  }
}

/** See `ArchiveReader.frontier`. */
export function currentFrontier(store: Store, archive: Archive, options?: FrontierOptions): Promise<Frontier> {
  return new ArchiveReader(store, archive).frontier(options);
}
