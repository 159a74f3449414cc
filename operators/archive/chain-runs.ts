import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, orNull, SluiceError } from "../../schemas/errors.js";
import { keys, runPlace, type ChainName } from "../../schemas/keys.js";
import type { LostRange } from "../../schemas/lost-range.js";
import { decodeRunBlock, decodeRunHead, RUN_HEAD_BYTES, type PlacedHead, type RunHead } from "../../schemas/run.js";
import { corruptError } from "./chain-faults.js";
import { ChainLosses, readLostRanges } from "./lost-ranges.js";
import { RunIndex } from "./run-index.js";
import { readStandingRuns, writeStandingRuns, type StandingRun } from "./standing-runs.js";

/** Segments in the lines of indexes that are kept parsed, some 100 bytes each: rows are asked for in any order. */
const KEPT_SEGMENTS = 262_144;

/**
 * The runs of one chain, as one reader or writer knows them. On each level the first one starts at the chain's origin and
 * each next one where the one before ends; level 0 reaches furthest. Of those that have an offset, the one of the highest level stands.
 */
export class ChainRuns {
  readonly #store: Store;
  readonly #chain: ChainName;
  /** From the origin on, each where the one before ends */
  #standing: StandingRun[] = [];
  /** Starts, ascending, by level, as they were listed last */
  #levels: number[][] = [];
  #end: number;
  readonly #heads = new Map<string, PlacedHead>();
  readonly #indexes = new Map<string, RunIndex>();
  #opening: Promise<void> | null = null;
  readonly #lostRanges: () => Promise<readonly LostRange[]>;
  #losses: Promise<ChainLosses> | null = null;

  /** `lostRanges`: of the archive, where the caller has read them for other chains */
  constructor(store: Store, chain: ChainName, lostRanges?: () => Promise<readonly LostRange[]>) {
    this.#store = store;
    this.#chain = chain;
    this.#end = chain.origin;
    this.#lostRanges = lostRanges ?? (() => readLostRanges(store, chain));
  }

  /** What is declared lost of the chain, as it was when this was asked first. */
  async losses(): Promise<ChainLosses> {
    this.#losses ??= this.#lostRanges().then((all) => new ChainLosses(this.#chain, all));
    try {
      return await this.#losses;
    } catch (error) {
      this.#losses = null;
      throw error;
    }
  }

  /** Where the runs ended when they were looked at last; they are looked at where that never was. */
  async end(): Promise<number> {
    await this.#once(() => this.#open());
    return this.#end;
  }

  async #once(open: () => Promise<void>): Promise<void> {
    this.#opening ??= open();
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  /** From what a compactor wrote down, and what has come since; no listing. */
  async #open(): Promise<void> {
    const known = await readStandingRuns(this.#store, this.#chain);
    if (known === null) {
      await this.#list();
      return;
    }
    this.#standing = [...known];
    this.#end = Math.max(this.#end, known.at(-1)?.end ?? this.#end);
    try {
      await this.#lookOn();
    } catch (error) {
      // The index of the run that begins here is damaged: `look` says so where it matters.
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
    }
  }

  /** Where they end now. */
  async look(): Promise<number> {
    if (this.#opening === null) return this.end();
    await this.end();
    await this.#lookOn();
    return this.#end;
  }

  async #lookOn(): Promise<void> {
    for (;;) {
      const start = this.#end;
      if ((await this.#store.head(keys.runIndex(this.#chain, start, 0))) === null) return;
      const end =
        (await this.#endOrNull(start, 0)) ?? (await this.#endIfLost(start)) ?? (await this.head(start, 0)).end;
      // Another look may have come before.
      if (start !== this.#end) continue;
      this.#standing.push({ start, level: 0, end });
      if (this.#levels.length === 0) this.#levels.push([]);
      this.#levels[0]!.push(start);
      this.#end = end;
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

  /** Lists all of them anew. Where the last one of level 0 is damaged, they end before it, and `look` says why. */
  async refresh(): Promise<void> {
    this.#opening = this.#list();
    await this.#once(() => this.#list());
  }

  /** As `refresh`, for a reader whose file has gone: what was read before is forgotten, since an erasure writes an index anew in its place. */
  async readAnew(): Promise<void> {
    this.#heads.clear();
    this.#indexes.clear();
    await this.refresh();
  }

  async #list(): Promise<void> {
    const levels: number[][] = [];
    for await (const { key } of this.#store.list(keys.runIndexes(this.#chain))) {
      const place = runPlace(key);
      if (place === null) continue;
      while (levels.length <= place.level) levels.push([]);
      levels[place.level]!.push(place.start);
    }
    const last = levels[0]?.at(-1);
    let end = Math.max(this.#end, last ?? this.#chain.origin);
    if (last !== undefined)
      end = Math.max(end, (await this.#endOrNull(last, 0)) ?? (await this.#endIfLost(last)) ?? last);
    const standing: StandingRun[] = [];
    let from = this.#chain.origin;
    for (let level = levels.length - 1; level >= 0; level--) {
      const starts = levels[level]!.filter((start) => start >= from);
      const top = starts.at(-1);
      if (top === undefined) continue;
      // Of a level whose last one is damaged, that one is taken to reach to the end: it is named where it is read.
      from = level === 0 ? end : ((await this.#endOrNull(top, level)) ?? (await this.#endIfLost(top)) ?? end);
      starts.forEach((start, at) => {
        const until = starts[at + 1] ?? from;
        if (until > start) standing.push({ start, level, end: until });
      });
    }
    this.#levels = levels;
    this.#standing = standing;
    this.#end = end;
  }

  /** Where what was declared lost of a run that starts there ends; null where nothing was. */
  async #endIfLost(start: number): Promise<number | null> {
    return (await this.losses()).at(start)?.end ?? null;
  }

  async #endOrNull(start: number, level: number): Promise<number | null> {
    try {
      return (await this.head(start, level)).end;
    } catch (error) {
      if (isSluiceError(error, "E_SEGMENT_CORRUPT")) return null;
      throw error;
    }
  }

  /** For a compactor that has listed them: writes down which stand, so that readers need not list. */
  async writeStanding(): Promise<void> {
    await this.refresh();
    await writeStandingRuns(this.#store, this.#chain, this.#standing);
  }

  /** Those that stand, in order, as they were known last. */
  async standing(): Promise<readonly StandingRun[]> {
    await this.end();
    return this.#standing;
  }

  /** Starts of a level's runs, ascending, as they were listed last. */
  startsOf(level: number): readonly number[] {
    return this.#levels[level] ?? [];
  }

  /** Levels that have runs, as they were listed last */
  get levels(): number {
    return this.#levels.length;
  }

  /** Where a level's runs end, as they were listed last. */
  async endOf(level: number): Promise<number> {
    if (level === 0) return this.end();
    const last = this.#levels[level]?.at(-1);
    return last === undefined ? this.#chain.origin : this.endOfRun({ start: last, level });
  }

  /** Where a run ends, also one whose index is damaged and whose offsets are declared lost. Throws as `head`. */
  async endOfRun({ start, level }: Pick<StandingRun, "start" | "level">): Promise<number> {
    return (await this.headUnlessLost({ start, level }))?.end ?? (await this.#endIfLost(start)) ?? start;
  }

  /** The head of one run. Throws E_SEGMENT_CORRUPT, E_STORE_MISSING. */
  async head(start: number, level: number): Promise<RunHead> {
    return (await this.#placedHead(start, level)).head;
  }

  async #placedHead(start: number, level: number): Promise<PlacedHead> {
    const key = keys.runIndex(this.#chain, start, level);
    let head = this.#heads.get(key);
    if (head === undefined) {
      head = decodeRunHead(await this.#store.getRange(key, 0, RUN_HEAD_BYTES), this.#chain, start, level);
      this.#heads.set(key, head);
    }
    return head;
  }

  /** The head of the last one that stands; null where there is none, or it is declared lost. Throws as `head`. */
  async lastHead(): Promise<RunHead | null> {
    const last = (await this.standing()).at(-1);
    return last === undefined ? null : this.headUnlessLost(last);
  }

  /** null where it is damaged, and its offsets are declared lost. Throws as `head`. */
  async headUnlessLost({ start, level }: Pick<StandingRun, "start" | "level">): Promise<RunHead | null> {
    const isLost = (await this.#endIfLost(start)) !== null;
    return isLost ? orNull(this.head(start, level), "E_SEGMENT_CORRUPT") : this.head(start, level);
  }

  /**
   * What the standing run that an offset below the end lies in says of the segments around it. Throws E_SEGMENT_CORRUPT where its
   * index is damaged.
   */
  async indexAt(offset: number): Promise<RunIndex> {
    for (let looks = 0; ; looks++) {
      const place = await this.standingAt(offset);
      const index = await this.#indexOrOffsets(place, offset);
      if (index !== null) return index;
      // A higher level has taken its place since.
      if (looks > 0) throw this.#gone(place);
      await this.refresh();
    }
  }

  /** The standing run that an offset below the end lies in. */
  async standingAt(offset: number): Promise<StandingRun> {
    const standing = await this.standing();
    const found = standing[firstEndingBehind(standing, offset)];
    if (found === undefined || found.start > offset) throw new RangeError(`no run of the chain reaches to ${offset}`);
    return found;
  }

  /** As `#index`; an error says which offsets are in what is damaged. */
  async #indexOrOffsets(place: StandingRun, offset: number): Promise<RunIndex | null> {
    try {
      return await this.#index(place, offset);
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      const { end } = error.context;
      throw corruptError(this.#chain, offset, typeof end === "number" ? end : place.end, error);
    }
  }

  /** null where the run has given up its lines. */
  async #index({ start, level }: Pick<StandingRun, "start" | "level">, offset: number): Promise<RunIndex | null> {
    const { head, blocksAt } = await this.#placedHead(start, level);
    const at = head.blocks.findIndex(([end]) => offset < end);
    const place = head.blocks[at];
    if (place === undefined) return null;
    const key = `${keys.runIndex(this.#chain, start, level)}#${at}`;
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const from = blocksAt + (head.blocks[at - 1]?.[1] ?? 0);
    const line = await this.#store.getRange(keys.runIndex(this.#chain, start, level), from, blocksAt + place[1]);
    // Its lines went after its head was read.
    if (line.length === 0) {
      this.#heads.delete(keys.runIndex(this.#chain, start, level));
      return null;
    }
    let index: RunIndex;
    try {
      index = new RunIndex(head, decodeRunBlock(line, head, place));
    } catch (error) {
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT") || !(await this.#isWrittenAnew(head))) throw error;
      return this.#index({ start, level }, offset);
    }
    this.#keep(key, index);
    return index;
  }

  /** Whether an erasure has written a run's index anew since its head was read; then that is forgotten. */
  async #isWrittenAnew(before: RunHead): Promise<boolean> {
    const key = keys.runIndex(this.#chain, before.start, before.level);
    this.#heads.delete(key);
    const { head } = await this.#placedHead(before.start, before.level);
    if (sameFiles(head, before)) return false;
    for (const name of this.#indexes.keys()) if (name.startsWith(`${key}#`)) this.#indexes.delete(name);
    return true;
  }

  #keep(key: string, index: RunIndex): void {
    this.#indexes.set(key, index);
    let kept = [...this.#indexes.values()].reduce((sum, { count }) => sum + count, 0);
    for (const [oldest, { count }] of this.#indexes) {
      if (kept <= KEPT_SEGMENTS || oldest === key) break;
      this.#indexes.delete(oldest);
      kept -= count;
    }
  }

  #gone({ start, level }: StandingRun): SluiceError {
    const key = keys.runIndex(this.#chain, start, level);
    return new SluiceError(
      "E_SEGMENT_CORRUPT",
      `Expected a run of a higher level in the place of ${key}, which has given up its rows, found none. Restore the index objects of ${keys.runIndexes(this.#chain)}.`,
      { key, start },
    );
  }
}

/** Whether a run's rows lie where they lay. */
export function sameFiles(a: RunHead, b: RunHead): boolean {
  return a.files.length === b.files.length && a.files.every(({ key }, at) => key === b.files[at]!.key);
}

function firstEndingBehind(runs: readonly StandingRun[], offset: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (runs[middle]!.end <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
