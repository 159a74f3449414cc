import { z } from "zod";
import { canonicalJson } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { endIn, frontierSchema, sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import { engineInfoSchema, type EngineInfo, type SegmentHeader } from "../../schemas/segment.js";

const count = z.int().nonnegative();

/** What of the archive a state has taken in. */
export const coverageSchema = z.strictObject({
  frontier: frontierSchema,
  records: z.strictObject({ in: count, scored: count, copied: count, quarantined: count, lost: count }),
  engines: z.array(engineInfoSchema),
  /** Greatest event time of the rows taken in, ms; null before the first */
  lastMs: z.int().nullable(),
});
export type CoverageValue = z.infer<typeof coverageSchema>;
export type RecordTotals = CoverageValue["records"];

/** Keeps account of segments: each is taken exactly once, in the order of its chain. */
export class Coverage {
  readonly #ends = new Map<string, ChainEnd>();
  readonly #engines = new Map<string, EngineInfo>();
  #records: RecordTotals = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
  #lastMs: number | null = null;

  constructor(from?: CoverageValue) {
    if (from === undefined) return;
    for (const chain of from.frontier) this.#ends.set(chainKey(chain), chain);
    for (const engine of from.engines) this.#engines.set(canonicalJson(engine), engine);
    this.#records = from.records;
    this.#lastMs = from.lastMs;
  }

  get frontier(): Frontier {
    return sortFrontier(this.#ends.values());
  }

  get value(): CoverageValue {
    return {
      frontier: this.frontier,
      records: { ...this.#records },
      engines: [...this.#engines.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, engine]) => engine),
      lastMs: this.#lastMs,
    };
  }

  /** Up to where a chain is taken in; its origin where none of it is */
  endIn(chain: { partition: number; origin: number }): number {
    return endIn(this.frontier, chain);
  }

  /**
   * Whether a segment is new: one that continues the chain as far as it is known. A repeat is not; one beyond a gap
   * throws E_CHAIN_GAP.
   */
  take(header: SegmentHeader): boolean {
    const { partition, origin, start, end, counts } = header;
    const covered = this.#ends.get(chainKey(header))?.end ?? origin;
    if (end <= covered) return false;
    if (start !== covered) {
      throw new SluiceError(
        "E_CHAIN_GAP",
        `Expected the segment of ${header.stream}/${partition} that starts at ${covered}, found [${start}, ${end}).`,
        { start: covered, end: start },
      );
    }
    this.#ends.set(chainKey(header), { partition, origin, end });
    this.#engines.set(canonicalJson(header.engine), header.engine);
    this.#records = sumOf(this.#records, counts);
    return true;
  }

  /**
   * Takes in what another has covered of ranges that follow on what this one has; `parts` says where the other began.
   * Throws E_CHAIN_GAP where a part does not follow.
   */
  absorb(
    other: CoverageValue,
    parts: readonly { readonly chain: { partition: number; origin: number }; readonly from: number }[],
  ): void {
    for (const { chain, from } of parts) {
      if (this.endIn(chain) === from) continue;
      throw new SluiceError(
        "E_CHAIN_GAP",
        `Expected a range of partition ${chain.partition} that starts at ${this.endIn(chain)}, found one from ${from} on.`,
        { start: this.endIn(chain), end: from },
      );
    }
    for (const end of other.frontier) this.#ends.set(chainKey(end), end);
    for (const engine of other.engines) this.#engines.set(canonicalJson(engine), engine);
    this.#records = sumOf(this.#records, other.records);
    if (other.lastMs !== null) this.#reach(other.lastMs);
  }

  #reach(lastMs: number): void {
    if (this.#lastMs === null || lastMs > this.#lastMs) this.#lastMs = lastMs;
  }

  /** Event times of rows taken in, ms */
  observe(eventTimesMs: BigInt64Array): void {
    const count = eventTimesMs.length;
    if (count === 0) return;
    // As pairs of words, low first: no BigInt is made for a row.
    const low = new Uint32Array(eventTimesMs.buffer, eventTimesMs.byteOffset, 2 * count);
    const high = new Int32Array(eventTimesMs.buffer, eventTimesMs.byteOffset, 2 * count);
    let lastMs = Number.NEGATIVE_INFINITY;
    for (let word = 0; word < 2 * count; word += 2) {
      const timeMs = high[word + 1]! * 2 ** 32 + low[word]!;
      if (timeMs > lastMs) lastMs = timeMs;
    }
    this.#reach(lastMs);
  }

  /** Counts a range as taken in although its segment cannot be read. */
  skip(chain: ChainEnd): void {
    this.#ends.set(chainKey(chain), chain);
  }
}

function sumOf(a: RecordTotals, b: RecordTotals): RecordTotals {
  return {
    in: a.in + b.in,
    scored: a.scored + b.scored,
    copied: a.copied + b.copied,
    quarantined: a.quarantined + b.quarantined,
    lost: a.lost + b.lost,
  };
}

function chainKey(chain: { partition: number; origin: number }): string {
  return `${chain.partition}/${chain.origin}`;
}
