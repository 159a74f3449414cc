import type { Store } from "../../connectors/store/store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { encodeStub, STUB_VERSION, type SegmentStub } from "../../schemas/segment-stub.js";
import type { SegmentHeader } from "../../schemas/segment.js";
import { readSegment, readSegmentHead, segmentStart } from "./chain.js";
import { differenceOf, putStub, STOPPED, type RefusedSegment } from "./compact-run.js";
import { listCopies, placedSegments, type CompactedCopy } from "./compacted-copies.js";
import type { PlacedSegment } from "./compacted-file.js";
import { readRowGroup } from "./follow-stub.js";
import { throwIfStopped } from "./throw-if-stopped.js";

/** A segment that the chain leads to. */
export interface ChainSegment {
  readonly header: SegmentHeader;
  /** Of its object: the segment, or the stub */
  readonly sizeBytes: number;
  /** null: its rows are in its own object */
  stub: SegmentStub | null;
}

/** Says what may be done about a chain's compacted files. */
export interface MendOptions {
  readonly onWarning: (message: string) => void;
  /** Files begun before this are swept if nobody needs them, ms since the epoch */
  readonly sweepBeforeMs: number;
  readonly signal?: AbortSignal | undefined;
}

type OnAdopted = (segment: ChainSegment, sizeBytes: number) => void;

/** One chain as compaction sees it: its segments and its compacted files. */
export class CompactedChain {
  readonly segments: readonly ChainSegment[];
  readonly #store: Store;
  readonly #chain: ChainName;
  readonly #byStart: ReadonlyMap<number, ChainSegment>;
  #copies: CompactedCopy[];
  readonly #placed = new Map<string, ReadonlyMap<number, PlacedSegment> | null>();

  private constructor(store: Store, chain: ChainName, segments: readonly ChainSegment[], copies: CompactedCopy[]) {
    this.#store = store;
    this.#chain = chain;
    this.segments = segments;
    this.#copies = copies;
    this.#byStart = new Map(segments.map((segment) => [segment.header.start, segment]));
  }

  /** Follows the chain over what is missing or corrupt; what cannot be read is reported and stays as it is. */
  static async open(
    store: Store,
    chain: ChainName,
    onRefused: (refused: RefusedSegment) => void,
  ): Promise<CompactedChain> {
    const listed: { readonly start: number; readonly sizeBytes: number }[] = [];
    for await (const { key, sizeBytes } of store.list(keys.chain(chain))) {
      if (key.endsWith(".arrow")) listed.push({ start: segmentStart(key), sizeBytes });
    }
    const sizes = new Map(listed.map(({ start, sizeBytes }) => [start, sizeBytes]));
    const segments: ChainSegment[] = [];
    let passed = 0;
    for (let at = chain.origin; ;) {
      while (passed < listed.length && listed[passed]!.start <= at) passed++;
      const behind = listed[passed]?.start ?? null;
      try {
        const head = await readSegmentHead(store, chain, at);
        if (head !== null && head.header.end > at) {
          segments.push({ ...head, sizeBytes: sizes.get(at) ?? 0 });
          at = head.header.end;
          continue;
        }
      } catch (error) {
        if (!isSluiceError(error, "E_SEGMENT_CORRUPT")) throw error;
        onRefused({ start: at, end: behind ?? at, error });
      }
      if (behind === null) break;
      at = behind;
    }
    return new CompactedChain(store, chain, segments, await listCopies(store, chain));
  }

  /**
   * Finishes what an earlier run began: segments whose rows are in a compacted file already are replaced by stubs. Stubs
   * that name a file that is gone are given another one with the same rows. `onAdopted` is given each segment replaced,
   * and the bytes of its stub and row group.
   */
  async adopt({ onWarning, signal }: Omit<MendOptions, "sweepBeforeMs">, onAdopted: OnAdopted): Promise<void> {
    for (const copy of this.#copies) {
      const hot = this.#within(copy).filter(({ stub }) => stub === null);
      if (hot.length === 0) continue;
      const placed = await this.#placedIn(copy, onWarning);
      for (const segment of hot) {
        const found = placed.get(segment.header.start);
        if (found === undefined) continue;
        throwIfStopped(signal, STOPPED);
        if (await this.#isSame(copy, found)) {
          const stubBytes = await putStub(this.#store, this.#chain, copy.key, found);
          segment.stub = stubOf(copy, found);
          if (stubBytes !== null) onAdopted(segment, stubBytes + found.place.end - found.place.start);
        } else {
          onWarning(
            `The compacted file ${copy.key} does not have the rows of [${found.header.start}, ${found.header.end}) as the archive has them; it is left alone. Delete it where no stub names it.`,
          );
        }
      }
    }
    const there = new Set(this.#copies.map(({ key }) => key));
    for (const segment of this.segments) {
      const { stub } = segment;
      if (stub === null || there.has(stub.key)) continue;
      const other = await this.#otherCopy(segment, stub.place.sha256, () => true, onWarning);
      if (other !== null) await this.#point(segment, other);
      else {
        const { start, end } = segment.header;
        onWarning(
          `The compacted file ${stub.key}, which the segment over [${start}, ${end}) of ${this.#chain.stream}/${this.#chain.partition} points to, is gone. Restore it.`,
        );
      }
    }
  }

  /**
   * Deletes old compacted files that are copies of others. A file goes only if each of its segments is also in a file
   * with a lesser key, read here and found whole: whatever two sweeps do at once, a segment's file with the least key is
   * never deleted, and a stub written late by whoever slept through this finds its rows there. Returns the bytes freed.
   */
  async sweep({ onWarning, sweepBeforeMs, signal }: MendOptions): Promise<{ files: number; sizeBytes: number }> {
    const swept = { files: 0, sizeBytes: 0 };
    for (const copy of this.#copies.toReversed()) {
      if (copy.createdMs >= sweepBeforeMs) continue;
      const lesser = this.#copies.filter((other) => other.key < copy.key && overlap(other, copy));
      if (lesser.length === 0) continue;
      const placed = await this.#placedIn(copy, onWarning);
      const others = new Map<number, SegmentStub>();
      for (const { header, place } of placed.values()) {
        throwIfStopped(signal, STOPPED);
        const other = await this.#otherCopy({ header }, place.sha256, ({ key }) => key < copy.key, onWarning);
        if (other === null) break;
        others.set(header.start, other);
      }
      if (placed.size === 0 || others.size < placed.size) continue;
      for (const [start, other] of others) {
        const segment = this.#byStart.get(start);
        if (segment?.stub?.key === copy.key) await this.#point(segment, other);
      }
      await this.#store.delete(copy.key);
      this.#copies = this.#copies.filter((one) => one !== copy);
      swept.files++;
      swept.sizeBytes += copy.sizeBytes;
    }
    return swept;
  }

  #within({ start, end }: CompactedCopy): ChainSegment[] {
    return this.segments.filter(({ header }) => header.start >= start && header.start < end);
  }

  /** By start; empty where the file cannot be read, which is said once. */
  async #placedIn(
    copy: CompactedCopy,
    onWarning: MendOptions["onWarning"],
  ): Promise<ReadonlyMap<number, PlacedSegment>> {
    let placed = this.#placed.get(copy.key);
    if (placed === undefined) {
      try {
        const list = await placedSegments(this.#store, copy);
        placed = new Map(list.map((one) => [one.header.start, one]));
      } catch (error) {
        if (!isSluiceError(error, "E_STORE_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
        if (error.code === "E_STORE_CORRUPT") onWarning(error.message);
        placed = null;
      }
      this.#placed.set(copy.key, placed);
    }
    return placed ?? new Map();
  }

  /** Whether a file has a segment's rows bit for bit. */
  async #isSame({ key }: CompactedCopy, { header, place }: PlacedSegment): Promise<boolean> {
    try {
      const { batch } = await readSegment(this.#store, this.#chain, header.start);
      return differenceOf(batch, await readRowGroup(this.#store, key, place, header)) === null;
    } catch (error) {
      if (isSluiceError(error, "E_SEGMENT_CORRUPT") || isSluiceError(error, "E_STORE_MISSING")) return false;
      throw error;
    }
  }

  /** The first file that has the rows with this digest, read and found whole, as a stub would name it. */
  async #otherCopy(
    { header }: Pick<ChainSegment, "header">,
    sha256: string,
    isWanted: (copy: CompactedCopy) => boolean,
    onWarning: MendOptions["onWarning"],
  ): Promise<SegmentStub | null> {
    for (const copy of this.#copies) {
      if (!isWanted(copy) || header.start < copy.start || header.start >= copy.end) continue;
      const found = (await this.#placedIn(copy, onWarning)).get(header.start);
      if (found?.place.sha256 !== sha256) continue;
      try {
        await readRowGroup(this.#store, copy.key, found.place, header);
        return stubOf(copy, found);
      } catch (error) {
        if (!isSluiceError(error, "E_SEGMENT_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      }
    }
    return null;
  }

  async #point(segment: ChainSegment, stub: SegmentStub): Promise<void> {
    await this.#store.put(keys.segment(this.#chain, segment.header.start), encodeStub(segment.header, stub));
    segment.stub = stub;
  }
}

function stubOf({ key }: CompactedCopy, { place }: PlacedSegment): SegmentStub {
  return { schemaVersion: STUB_VERSION, key, place };
}

function overlap(a: CompactedCopy, b: CompactedCopy): boolean {
  return a.start < b.end && b.start < a.end;
}
