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
  /** Least and greatest event time of the rows taken in, ms; null before the first */
  firstMs: z.int().nullable(),
  lastMs: z.int().nullable(),
});
export type CoverageValue = z.infer<typeof coverageSchema>;
export type RecordTotals = CoverageValue["records"];

/** Keeps account of segments: each is taken exactly once, in the order of its chain. */
export class Coverage {
  readonly #ends = new Map<string, ChainEnd>();
  readonly #engines = new Map<string, EngineInfo>();
  #records: RecordTotals = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
  #firstMs: number | null = null;
  #lastMs: number | null = null;

  constructor(from?: CoverageValue) {
    if (from === undefined) return;
    for (const chain of from.frontier) this.#ends.set(chainKey(chain), chain);
    for (const engine of from.engines) this.#engines.set(canonicalJson(engine), engine);
    this.#records = from.records;
    this.#firstMs = from.firstMs;
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
      firstMs: this.#firstMs,
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
    const records = this.#records;
    this.#records = {
      in: records.in + counts.in,
      scored: records.scored + counts.scored,
      copied: records.copied + counts.copied,
      quarantined: records.quarantined + counts.quarantined,
      lost: records.lost + counts.lost,
    };
    return true;
  }

  /** Event times of rows taken in, ms */
  observe(eventTimesMs: BigInt64Array): void {
    for (const time of eventTimesMs) {
      const timeMs = Number(time);
      if (this.#firstMs === null || timeMs < this.#firstMs) this.#firstMs = timeMs;
      if (this.#lastMs === null || timeMs > this.#lastMs) this.#lastMs = timeMs;
    }
  }

  /** Counts a range as taken in although its segment cannot be read. */
  skip(chain: ChainEnd): void {
    this.#ends.set(chainKey(chain), chain);
  }
}

function chainKey(chain: { partition: number; origin: number }): string {
  return `${chain.partition}/${chain.origin}`;
}
