import { getIfThere, type Store } from "../../connectors/store/store.js";
import { SluiceError } from "../../schemas/errors.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import { decodeLostRange, encodeLostRange, type LostRange } from "../../schemas/lost-range.js";
import type { Manifest } from "../../schemas/manifest.js";
import { SEGMENT_VERSION, type SegmentHeader } from "../../schemas/segment.js";
import { meets } from "./offset-ranges.js";

type Archive = Pick<ChainName, "teacher" | "stream">;

/** What was declared lost of (teacher, stream), by number. Throws E_SEGMENT_CORRUPT. */
export async function readLostRanges(store: Store, archive: Archive): Promise<LostRange[]> {
  const found: LostRange[] = [];
  for (;;) {
    const key = keys.lostRange(archive, found.length);
    const bytes = await getIfThere(store, key);
    if (bytes === null) return found;
    found.push(decodeLostRange(bytes, key));
  }
}

/** Returns the number that the declaration has. Throws E_CHAIN_CONFLICT where some of its offsets were declared lost meanwhile. */
export async function declareLostRange(store: Store, archive: Archive, range: LostRange): Promise<number> {
  for (;;) {
    const known = await readLostRanges(store, archive);
    if (known.some((one) => isSameChain(one, range) && meets(one, range))) {
      throw new SluiceError(
        "E_CHAIN_CONFLICT",
        `Expected offsets [${range.start}, ${range.end}) of ${archive.stream}/${range.partition} to be damaged, found them declared lost by somebody else meanwhile.`,
      );
    }
    const number = known.length;
    if ((await store.putIfAbsent(keys.lostRange(archive, number), encodeLostRange(range))) === "created") return number;
  }
}

/**
 * Whether a state over `frontier`, made when so many declarations were known, has rows of a range that was declared lost since; or,
 * where it was made later than `known` was read, lacks rows that `known` has.
 */
export function differsByLoss(frontier: Frontier, madeWith: number, known: readonly LostRange[]): boolean {
  if (madeWith > known.length) return true;
  return known.slice(madeWith).some((range) => endIn(frontier, range) > range.start);
}

/** What a manifest says of them: those that begin below a frontier. */
export function lostBelow(ranges: readonly LostRange[], frontier: Frontier): Manifest["provenance"]["lost"] {
  return ranges.flatMap((range, number) => {
    const { partition, origin, start, end, reason } = range;
    return endIn(frontier, range) > start ? [{ number, partition, origin, start, end, reason }] : [];
  });
}

/** Numbers of what was declared lost below a version's frontier since it was cut. */
export function lostSince({ provenance }: Pick<Manifest, "provenance">, ranges: readonly LostRange[]): number[] {
  const known = new Set(provenance.lost.map(({ number }) => number));
  return lostBelow(ranges, provenance.frontier)
    .map(({ number }) => number)
    .filter((number) => !known.has(number));
}

function isSameChain(a: Pick<LostRange, "partition" | "origin">, b: Pick<LostRange, "partition" | "origin">): boolean {
  return a.partition === b.partition && a.origin === b.origin;
}

/** What was declared lost of one chain. */
export class ChainLosses {
  readonly #chain: ChainName;
  /** Ascending */
  readonly #ranges: readonly LostRange[];

  constructor(chain: ChainName, all: readonly LostRange[]) {
    this.#chain = chain;
    this.#ranges = all.filter((range) => isSameChain(range, chain)).sort((a, b) => a.start - b.start);
  }

  get first(): LostRange | null {
    return this.#ranges[0] ?? null;
  }

  /** The range that an offset lies in */
  at(offset: number): LostRange | null {
    return this.#ranges.find(({ start, end }) => start <= offset && offset < end) ?? null;
  }

  /** Where the next one behind an offset begins */
  startAfter(offset: number): number | null {
    return this.#ranges.find(({ start }) => start > offset)?.start ?? null;
  }

  meets(start: number, end: number): boolean {
    return this.#ranges.some((range) => meets(range, { start, end }));
  }

  /** What stands for the segments of the range at an offset, from there on; none where it lies in none. Throws E_CHAIN_CONFLICT. */
  headersFrom(offset: number): SegmentHeader[] {
    const range = this.at(offset);
    if (range === null) return [];
    const headers = this.#headersOf(range).filter(({ end }) => end > offset);
    const [first] = headers;
    if (first?.start === offset) return headers;
    throw new SluiceError(
      "E_CHAIN_CONFLICT",
      `Expected a segment of ${this.#chain.stream}/${this.#chain.partition} to start at ${offset}, found [${range.start}, ${range.end}) declared lost, ` +
        "and nothing that says where its segments began.",
    );
  }

  /** The segment that stands at an offset of a lost range; null where it lies in none */
  holding(offset: number): SegmentHeader | null {
    const range = this.at(offset);
    return range === null ? null : (this.#headersOf(range).find(({ end }) => offset < end) ?? null);
  }

  #headersOf(range: LostRange): SegmentHeader[] {
    const { engine, codeVersion, reason } = range;
    let start = range.start;
    return range.segments.map(({ end, counts, watermarkMs, rejected, retried, pack }) => {
      const header: SegmentHeader = {
        schemaVersion: SEGMENT_VERSION,
        ...this.#chain,
        start,
        end,
        counts,
        watermarkMs,
        engine,
        codeVersion,
        lostReason: reason,
        keepers: [],
        rejected,
        retried,
        pack,
      };
      start = end;
      return header;
    });
  }
}
