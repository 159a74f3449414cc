import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, orNull, SluiceError, awaitedLater } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { QuarantineCounts } from "../../schemas/run.js";
import type { Segment, SegmentHeader } from "../../schemas/segment.js";
import type { RunIndex } from "./run-index.js";
import { ChainRuns, sameFiles } from "./chain-runs.js";
import type { CandidateRow } from "./digest-index.js";
import { corruptError, gapError, notABoundary } from "./chain-faults.js";
import { GroupReader, isGroupLost, rangeOf } from "./group-reader.js";
import { quarantineOfRuns, totalsOfChain, type ChainTotals } from "./chain-counts.js";
import type { ArchivedScores, FoundRow } from "./row-records.js";
import { noRows } from "../../schemas/run-columns.js";
import { readGroup, readRow } from "./run-rows.js";
import { selectRows } from "./select-rows.js";
import { ReadBlocks } from "./read-blocks.js";
import { readSegment, readSegmentHeader, SegmentMemory, segmentStart } from "./segment-objects.js";
import { headersAhead, listedSegments, type HeadersAhead } from "./tail-headers.js";

/** A range of offsets whose segments are missing or cannot be read. */
export interface Gap {
  readonly start: number;
  readonly end: number;
  readonly error: SluiceError;
}

/** Where a chain is read: what was met at an offset beyond the runs. */
type Met<T> =
  | { readonly what: "found"; readonly value: T }
  /** A run has it meanwhile */
  | { readonly what: "compacted" }
  | { readonly what: "missing" }
  | { readonly what: "corrupt"; readonly error: SluiceError };

/**
 * Reads one chain: its runs first, then the tail of segments. What is read of the tail counts only when a look at the runs
 * afterwards finds none beyond it; what is missing is the chain's end only then.
 */
export class ChainReader {
  readonly chain: ChainName;
  readonly runs: ChainRuns;
  readonly #store: Store;
  readonly #blocks: ReadBlocks;

  /** `blocks`: of files whose rows are looked up one at a time */
  constructor(store: Store, chain: ChainName, runs = new ChainRuns(store, chain), blocks = new ReadBlocks(store)) {
    this.#store = store;
    this.#blocks = blocks;
    this.chain = chain;
    this.runs = runs;
  }

  /**
   * Headers over [from, until), in order, to the chain's end where `until` is not given; both are segment boundaries. A missing
   * segment with others behind it is a gap, not an end. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT; with `onGap` those ranges are
   * reported and left out.
   */
  async *headers(
    from: number,
    until = Number.POSITIVE_INFINITY,
    onGap?: (gap: Gap) => void,
  ): AsyncGenerator<SegmentHeader, number, undefined> {
    let missedAt = -1;
    let ahead: HeadersAhead | null = null;
    const losses = await this.runs.losses();
    for (let at = from; at < until;) {
      const lost = losses.headersFrom(at);
      for (const header of lost) {
        if (at >= until) break;
        at = header.end;
        yield header;
      }
      if (lost.length > 0) continue;
      if (at < (await this.runs.end())) {
        let index: RunIndex;
        try {
          index = await this.runs.indexAt(at);
        } catch (error) {
          at = await this.#overDamagedRun(at, until, error, onGap);
          continue;
        }
        for (let segment = index.startingAt(at); segment < index.count && at < until; segment++) {
          if (losses.at(at) !== null) break;
          at = index.endOf(segment);
          yield index.headerOf(segment);
        }
        continue;
      }
      if (ahead === null || (ahead.isFull && !ahead.headers.has(at))) {
        ahead = await headersAhead(this.#store, this.runs, this.chain, { from: at, until });
        if (ahead === null) continue;
      }
      const known = ahead.headers.get(at);
      if (known !== undefined && known.end > at) {
        at = known.end;
        yield known;
        continue;
      }
      const met = await this.#meet(at, () => readSegmentHeader(this.#store, this.chain, at));
      if (met.what === "compacted") continue;
      if (met.what === "found" && met.value.end > at) {
        at = met.value.end;
        yield met.value;
        continue;
      }
      const next = nearer(ahead.after(at) ?? (ahead.isFull ? await this.#nextStart(at) : null), losses.startAfter(at));
      const isOpen = until === Number.POSITIVE_INFINITY;
      if (isOpen && next === null && met.what !== "corrupt") return at;
      if (met.what === "missing" && missedAt !== at) {
        // A scorer may have written both between the two looks: only a segment that is missing still is a gap.
        missedAt = at;
        continue;
      }
      const end = Math.min(next ?? until, until);
      const error =
        met.what === "corrupt"
          ? corruptError(this.chain, at, Number.isFinite(end) ? end : null, met.error)
          : gapError(this.chain, at, end, next !== null);
      if (onGap === undefined) throw error;
      if (!Number.isFinite(end)) {
        // The last segment of a chain is corrupt: nothing says where it ended.
        onGap({ start: at, end: at + 1, error });
        return at;
      }
      onGap({ start: at, end, error });
      at = end;
    }
    return until;
  }

  /** Where the chain ends now: the first offset of which the archive says nothing. `from` is a segment boundary. Throws as `headers`. */
  async end(from = this.chain.origin, onGap?: (gap: Gap) => void): Promise<number> {
    const headers = this.headers(Math.max(from, await this.runs.end()), undefined, onGap);
    for (;;) {
      const next = await headers.next();
      if (next.done === true) return next.value;
    }
  }

  /** Whether the chain has anything from a boundary on: two requests where it has not. */
  async isBeyond(end: number): Promise<boolean> {
    if (end < (await this.runs.end()) || (await this.runs.losses()).at(end) !== null) return true;
    if ((await this.#store.head(keys.segment(this.chain, end))) !== null) return true;
    return (await this.runs.look()) > end;
  }

  /**
   * Segments over exactly [from, until), in order; both are segment boundaries. Each is valid until the next one is asked for.
   * Throws as `headers`, and E_CHAIN_CONFLICT where one of the two is no boundary.
   */
  async *segments(from: number, until: number, onGap?: (gap: Gap) => void): AsyncGenerator<Segment, void, undefined> {
    let memory = new SegmentMemory();
    let other = new SegmentMemory();
    let ahead: { readonly at: number; readonly met: Promise<Met<Segment>> } | null = null;
    const meet = (at: number): Promise<Met<Segment>> =>
      this.#meet(at, () => readSegment(this.#store, this.chain, at, memory));
    const losses = await this.runs.losses();
    for (let at = from; at < until;) {
      const lost = losses.headersFrom(at);
      for (const header of lost) {
        if (at >= until) break;
        if (header.end > until) throw notABoundary(this.chain, until, header.start, header.end);
        at = header.end;
        yield { header, batch: noRows(1) };
      }
      if (lost.length > 0) continue;
      if (at < (await this.runs.end())) {
        // What was read ahead of the tail is not wanted; its memory is free when it has come.
        await Promise.allSettled([ahead?.met]);
        ahead = null;
        try {
          for await (const segment of this.#runSegments(at, until)) {
            at = segment.header.end;
            yield segment;
          }
        } catch (error) {
          at = await this.#overDamagedRun(at, until, error, onGap);
        }
        continue;
      }
      const met: Met<Segment> = ahead?.at === at ? await ahead.met : await meet(at);
      ahead = null;
      if (met.what === "compacted") continue;
      if (met.what !== "found") {
        const behind = nearer(await this.#nextStart(at), losses.startAfter(at));
        const next = Math.min(behind ?? until, until);
        const gap =
          met.what === "corrupt"
            ? corruptError(this.chain, at, next, met.error)
            : gapError(this.chain, at, next, behind !== null);
        if (onGap === undefined) throw gap;
        onGap({ start: at, end: next, error: gap });
        at = next;
        continue;
      }
      const segment = met.value;
      const { end } = segment.header;
      if (end > until) throw notABoundary(this.chain, until, at, end);
      if (end === at)
        throw new SluiceError("E_SEGMENT_CORRUPT", `The segment ${keys.segment(this.chain, at)} is empty of offsets.`);
      at = end;
      if (at < until) {
        // Read while the caller works on this one, which stays in the memory that it is in.
        [memory, other] = [other, memory];
        ahead = { at, met: awaitedLater(meet(at)) };
      }
      yield segment;
    }
  }

  /** Segments of the standing run at an offset, up to its end or `until`. Where its files go meanwhile, it ends early. */
  async *#runSegments(from: number, until: number): AsyncGenerator<Segment, void, undefined> {
    const index = await this.runs.indexAt(from);
    const reader = new GroupReader(this.#store, index);
    const losses = await this.runs.losses();
    for (let segment = index.startingAt(from); segment < index.count && index.startOf(segment) < until; segment++) {
      if (losses.at(index.startOf(segment)) !== null) return;
      const header = index.headerOf(segment);
      if (header.end > until) throw notABoundary(this.chain, until, header.start, header.end);
      try {
        yield { header, batch: await reader.rowsOf(segment, until) };
      } catch (error) {
        if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
        await this.runs.readAnew();
        const { start, level } = await this.runs.standingAt(header.start);
        const isSame = start === index.head.start && level === index.head.level;
        if (isSame && sameFiles(await this.runs.head(start, level), index.head)) throw reader.goneFile(segment, error);
        return;
      }
    }
  }

  /** All rows of one row group of a run. Throws E_SEGMENT_CORRUPT, E_STORE_MISSING where a higher level has taken its place. */
  readGroup(index: RunIndex, group: number, memory?: SegmentMemory): Promise<ScoredBatch> {
    return readGroup(this.#store, index.group(group), rangeOf(index, group), memory?.room);
  }

  /** The scores of the row at an offset of the runs; null where they have no such row, or it is not the digest's that is given. */
  async runRow(offset: number, digest?: Uint8Array): Promise<ArchivedScores | null> {
    if ((await this.runs.losses()).at(offset) !== null) return null;
    for (let looks = 0; ; looks++) {
      const index = await this.runs.indexAt(offset);
      const segment = index.holding(offset);
      const group = index.groupOf(segment);
      if (group < 0) return null;
      const [start, end] = [index.startOf(segment), index.endOf(segment)];
      const wanted = {
        offset,
        first: index.firstRowOf(segment),
        rows: index.rowsOf(segment),
        from: offset - start,
        span: end - start,
        digest,
      };
      try {
        return await readRow(this.#store, this.#blocks, index.group(group), wanted, rangeOf(index, group));
      } catch (error) {
        if (!isSluiceError(error, "E_STORE_MISSING") || looks > 0) throw error;
        await this.runs.readAnew();
      }
    }
  }

  /** The scores of a row of the row group that begins with the segment at `start`, where it is the digest's; else null. */
  async digestsRow(digest: Uint8Array, { start, row }: CandidateRow): Promise<FoundRow | null> {
    const losses = await this.runs.losses();
    if (losses.at(start) !== null) return null;
    const index = await this.runs.indexAt(start);
    const group = index.groupOf(index.startingAt(start));
    if (isGroupLost(index, group, losses)) return null;
    const found = await readRow(this.#store, this.#blocks, index.group(group), { row, digest }, rangeOf(index, group));
    return found === null ? null : { ...found, pack: index.packOfRow(group, row) };
  }

  /** The same row with all of its columns, read with its row group. */
  async digestsBatch(digest: Uint8Array, { start, row }: CandidateRow): Promise<ScoredBatch | null> {
    const losses = await this.runs.losses();
    if (losses.at(start) !== null) return null;
    const index = await this.runs.indexAt(start);
    const group = index.groupOf(index.startingAt(start));
    if (isGroupLost(index, group, losses)) return null;
    const batch = await this.readGroup(index, group);
    const own = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
    return row < batch.count && Buffer.from(own).equals(digest) ? selectRows(batch, [row]) : null;
  }

  /** What a segment's object at `start` says, looked at against the runs afterwards; null where it is not the chain's. */
  async tailSegment(start: number, memory?: SegmentMemory): Promise<Segment | null> {
    const lost = (await this.runs.losses()).holding(start);
    if (lost !== null) return lost.start === start ? { header: lost, batch: noRows(1) } : null;
    const met = await this.#meet(start, () => readSegment(this.#store, this.chain, start, memory));
    if (met.what === "corrupt") {
      const header = await orNull(readSegmentHeader(this.#store, this.chain, start), "E_SEGMENT_CORRUPT");
      throw corruptError(this.chain, start, header?.end ?? (await this.#nextStart(start)), met.error);
    }
    return met.what === "found" ? met.value : null;
  }

  /** Starts of the segments that the store lists beyond the runs: it only says where to look. */
  async tailStarts(): Promise<number[]> {
    return [...(await this.tailSizes()).keys()];
  }

  /** The same with their sizes in bytes, the first `most` of them. */
  async tailSizes(most = Number.POSITIVE_INFINITY): Promise<Map<number, number>> {
    return listedSegments(this.#store, this.chain, await this.runs.end(), most);
  }

  /** Totals up to a boundary: of a run's index, and of the headers of the tail. Throws as `headers`. */
  totalsAt(end: number, onGap?: (gap: Gap) => void): Promise<ChainTotals> {
    return totalsOfChain(this, end, onGap);
  }

  /**
   * What of this chain is in quarantine, as far as it can be read: of the newest run's head, and of the headers of the tail. What runs
   * have is read only where the tail takes up a record of theirs.
   */
  async quarantined(): Promise<QuarantineCounts> {
    const { tally, from } = await quarantineOfRuns(this);
    for await (const header of this.headers(from, undefined, () => undefined)) tally.take(header);
    return tally.counts();
  }

  /** The last boundary at or below an offset. */
  async boundaryAtOrBelow(offset: number): Promise<number> {
    const { origin } = this.chain;
    if (offset <= origin) return origin;
    const lost = (await this.runs.losses()).holding(offset);
    if (lost !== null) return lost.start;
    const runsEnd = await this.runs.end();
    if (offset < runsEnd) {
      const index = await this.runs.indexAt(offset);
      return index.startOf(index.holding(offset));
    }
    let boundary = Math.max(origin, runsEnd);
    for await (const { end } of this.headers(boundary)) {
      if (end > offset) break;
      boundary = end;
    }
    return boundary;
  }

  /** Reads an object of the tail, then looks at the runs. */
  async #meet<T>(at: number, read: () => Promise<T | null>): Promise<Met<T>> {
    let value: T | null = null;
    let corrupt: SluiceError | null = null;
    try {
      value = await read();
    } catch (error) {
      if (isSluiceError(error, "E_SEGMENT_CORRUPT")) corrupt = error;
      else if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
    }
    try {
      if ((await this.runs.look()) > at) return { what: "compacted" };
    } catch (error) {
      // The index of the run that begins here is damaged.
      if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
      return { what: "corrupt", error };
    }
    if (corrupt !== null) return { what: "corrupt", error: corrupt };
    return value === null ? { what: "missing" } : { what: "found", value };
  }

  /** Reports what is damaged in the run at an offset, and returns where to go on. */
  async #overDamagedRun(at: number, until: number, error: unknown, onGap?: (gap: Gap) => void): Promise<number> {
    if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
    const said = error.context["end"];
    const lost = (await this.runs.losses()).startAfter(at) ?? until;
    const end = Math.min(typeof said === "number" && said > at ? said : await this.#runEnd(at), until, lost);
    const isSaid = error.context["start"] === at && said === end;
    const gap = isSaid ? error : corruptError(this.chain, at, end, error);
    if (onGap === undefined) throw gap;
    onGap({ start: at, end, error: gap });
    return end;
  }

  async #runEnd(at: number): Promise<number> {
    return (await this.runs.standingAt(at)).end;
  }

  /** The first listed start after an offset: the listing only says where to look. */
  async #nextStart(after: number): Promise<number | null> {
    for await (const { key } of this.#store.list(keys.chain(this.chain), { after: keys.segment(this.chain, after) })) {
      if (key.endsWith(".arrow")) return segmentStart(key);
    }
    return null;
  }
}

function nearer(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}
