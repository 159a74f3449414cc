import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys, runPlace, type ChainName } from "../../schemas/keys.js";
import { decodeRunBody, decodeRunHead, RUN_HEAD_BYTES, type RunHead } from "../../schemas/run.js";
import { RunIndex } from "./run-index.js";

/** Segments in the indexes that are kept parsed, some 100 bytes each: rows are asked for in any order. */
const KEPT_SEGMENTS = 262_144;

/**
 * The runs of one chain, as one reader or writer knows them. On each level the first one starts at the chain's origin and
 * each next one where the one before ends; level 0 reaches furthest.
 */
export class ChainRuns {
  readonly #store: Store;
  readonly #chain: ChainName;
  /** Starts, ascending, by level */
  #levels: number[][] = [];
  #end: number;
  readonly #heads = new Map<string, RunHead>();
  readonly #indexes = new Map<string, RunIndex>();
  #listing: Promise<void> | null = null;

  constructor(store: Store, chain: ChainName) {
    this.#store = store;
    this.#chain = chain;
    this.#end = chain.origin;
  }

  /** Where the runs ended when they were looked at last; they are looked at where that never was. */
  async end(): Promise<number> {
    this.#listing ??= this.#list();
    try {
      await this.#listing;
    } catch (error) {
      this.#listing = null;
      throw error;
    }
    return this.#end;
  }

  /** Where they end now. */
  async look(): Promise<number> {
    if (this.#listing === null) return this.end();
    for (let at = await this.end(); ;) {
      if ((await this.#store.head(keys.runIndex(this.#chain, at, 0))) === null) return this.#end;
      at = (await this.head(at, 0)).end;
      this.#reach(0, at);
    }
  }

  /**
   * For a writer that has created a segment: throws E_CHAIN_CONFLICT where a run reaches beyond its start. Then the chain
   * has another segment there, or had, and this one is garbage.
   */
  async assertNoneBeyond(start: number): Promise<void> {
    const end = await this.look();
    if (end <= start) return;
    const { stream, partition } = this.#chain;
    throw new SluiceError(
      "E_CHAIN_CONFLICT",
      `Another scorer has archived ${stream}/${partition} from offset ${start} already, and runs reach to ${end}: what was written ` +
        "here is swept, and scoring goes on from the chain's end.",
      { retryable: true, key: keys.segment(this.#chain, start) },
    );
  }

  /** Looks at all of them anew. Where the last one of level 0 is damaged, they end before it, and `look` says why. */
  async refresh(): Promise<void> {
    this.#listing = this.#list();
    await this.end();
  }

  async #list(): Promise<void> {
    const levels: number[][] = [];
    for await (const { key } of this.#store.list(keys.runIndexes(this.#chain))) {
      const place = runPlace(key);
      if (place === null) continue;
      while (levels.length <= place.level) levels.push([]);
      levels[place.level]!.push(place.start);
    }
    this.#levels = levels;
    const last = this.#levels[0]?.at(-1);
    if (last === undefined) return;
    this.#end = Math.max(this.#end, last);
    try {
      this.#end = Math.max(this.#end, (await this.head(last, 0)).end);
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
    }
  }

  #reach(level: number, end: number): void {
    if (end <= this.#end) return;
    (this.#levels[level] ??= []).push(this.#end);
    this.#end = end;
  }

  /** Starts of a level's runs, ascending, as they were known last. */
  startsOf(level: number): readonly number[] {
    return this.#levels[level] ?? [];
  }

  /** Levels that have runs */
  get levels(): number {
    return this.#levels.length;
  }

  /** Where a level's runs end. */
  async endOf(level: number): Promise<number> {
    if (level === 0) return this.end();
    const last = this.#levels[level]?.at(-1);
    return last === undefined ? this.#chain.origin : (await this.head(last, level)).end;
  }

  /** The head of one run. Throws E_SEGMENT_CORRUPT, E_STORE_MISSING. */
  async head(start: number, level: number): Promise<RunHead> {
    const key = keys.runIndex(this.#chain, start, level);
    let head = this.#heads.get(key);
    if (head === undefined) {
      head = decodeRunHead(await this.#store.getRange(key, 0, RUN_HEAD_BYTES), this.#chain, start, level);
      this.#heads.set(key, head);
    }
    return head;
  }

  /**
   * The standing run that an offset below the end lies in: of those that have it, the one of the highest level. Throws
   * E_SEGMENT_CORRUPT where its index is damaged.
   */
  async indexAt(offset: number): Promise<RunIndex> {
    await this.end();
    for (let looks = 0; ; looks++) {
      const place = await this.standingAt(offset);
      const index = await this.#index(place);
      if (index !== null) return index;
      // A higher level has taken its place since.
      if (looks > 0) throw this.#gone(place);
      await this.refresh();
    }
  }

  /** Start and level of the standing run that an offset below the end lies in. */
  async standingAt(offset: number): Promise<{ readonly start: number; readonly level: number }> {
    for (let level = this.#levels.length - 1; level > 0; level--) {
      const starts = this.startsOf(level);
      const at = starts.findLastIndex((one) => one <= offset);
      if (at < 0) continue;
      const end = starts[at + 1] ?? (await this.head(starts[at]!, level)).end;
      if (offset < end) return { start: starts[at]!, level };
    }
    const start = this.startsOf(0).findLast((one) => one <= offset);
    if (start === undefined) throw new RangeError(`no run of the chain reaches to ${offset}`);
    return { start, level: 0 };
  }

  async #index({ start, level }: { start: number; level: number }): Promise<RunIndex | null> {
    const key = keys.runIndex(this.#chain, start, level);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const bytes = await this.#store.get(key);
    const head = decodeRunHead(bytes, this.#chain, start, level);
    const body = decodeRunBody(bytes, head);
    if (body === null) return null;
    const index = new RunIndex(head, body);
    this.#indexes.set(key, index);
    let kept = [...this.#indexes.values()].reduce((sum, { count }) => sum + count, 0);
    for (const [oldest, { count }] of this.#indexes) {
      if (kept <= KEPT_SEGMENTS || oldest === key) break;
      this.#indexes.delete(oldest);
      kept -= count;
    }
    return index;
  }

  #gone({ start, level }: { start: number; level: number }): SluiceError {
    const key = keys.runIndex(this.#chain, start, level);
    return new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected a run of a higher level in the place of ${key}, which has given up its rows, found none. Restore the index objects of ${keys.runIndexes(this.#chain)}.`,
      { key, start },
    );
  }
}
