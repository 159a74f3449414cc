import { z } from "zod";
import { canonicalJson } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { frontierSchema, sortFrontier, type ChainEnd, type Frontier } from "../../schemas/frontier.js";
import { engineInfoSchema, recordCountsSchema, type EngineInfo, type RecordCounts } from "../../schemas/segment.js";
import { NO_RECORDS, sumOfCounts } from "../archive/run-index.js";

/** What of the archive a state has taken in. */
export const coverageSchema = z
  .strictObject({
    frontier: frontierSchema,
    /** Of each chain of the frontier */
    counts: z.array(recordCountsSchema),
    engines: z.array(engineInfoSchema),
    /** Greatest event time of the rows taken in, ms; null before the first */
    lastMs: z.int().nullable(),
  })
  .refine(({ frontier, counts }) => frontier.length === counts.length, "expected counts for every chain");
export type CoverageValue = z.infer<typeof coverageSchema>;

/** What a segment's header, and a message of its candidates, say of it. */
export interface Covered extends ChainEnd {
  readonly stream: string;
  readonly start: number;
  readonly counts: RecordCounts;
  readonly engine: EngineInfo;
}

interface Chain {
  readonly end: ChainEnd;
  readonly counts: RecordCounts;
}

/** Keeps account of segments: each is taken exactly once, in the order of its chain. */
export class Coverage {
  readonly #chains = new Map<string, Chain>();
  readonly #engines = new Map<string, EngineInfo>();
  #lastMs: number | null = null;

  constructor(from?: CoverageValue) {
    if (from === undefined) return;
    from.frontier.forEach((end, index) => this.#chains.set(chainKey(end), { end, counts: from.counts[index]! }));
    this.#takeEngines(from.engines);
    this.#lastMs = from.lastMs;
  }

  /** What several have covered together, each chain up to where the furthest came. */
  static furthest(values: readonly CoverageValue[]): Coverage {
    const made = new Coverage();
    for (const value of values) {
      value.frontier.forEach((end, index) => {
        if (end.end < made.endIn(end)) return;
        made.#chains.set(chainKey(end), { end, counts: value.counts[index]! });
      });
      made.#takeEngines(value.engines);
      if (value.lastMs !== null) made.reach(value.lastMs);
    }
    return made;
  }

  get frontier(): Frontier {
    return sortFrontier([...this.#chains.values()].map(({ end }) => end));
  }

  get value(): CoverageValue {
    const { frontier } = this;
    return {
      frontier,
      counts: frontier.map((end) => ({ ...this.#chains.get(chainKey(end))!.counts })),
      engines: [...this.#engines.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, engine]) => engine),
      lastMs: this.#lastMs,
    };
  }

  /** Of all chains */
  get records(): RecordCounts {
    return [...this.#chains.values()].reduce((sum, { counts }) => sumOfCounts(sum, counts), NO_RECORDS);
  }

  get lastMs(): number | null {
    return this.#lastMs;
  }

  /** Up to where a chain is taken in; its origin where none of it is */
  endIn(chain: { partition: number; origin: number }): number {
    return this.#chains.get(chainKey(chain))?.end.end ?? chain.origin;
  }

  /**
   * Whether a segment is new: one that continues the chain as far as it is known. A repeat is not; one beyond a gap
   * throws E_CHAIN_GAP.
   */
  take(segment: Covered): boolean {
    const { stream, partition, origin, start, end, counts } = segment;
    const covered = this.endIn(segment);
    if (end <= covered) return false;
    if (start !== covered) {
      throw new SluiceError(
        "E_CHAIN_GAP",
        `Expected the segment of ${stream}/${partition} that starts at ${covered}, found [${start}, ${end}).`,
        { start: covered, end: start },
      );
    }
    this.#extend({ partition, origin, end }, counts);
    this.#takeEngines([segment.engine]);
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
    other.frontier.forEach((end, index) => {
      this.#extend(end, other.counts[index]!);
    });
    this.#takeEngines(other.engines);
    if (other.lastMs !== null) this.reach(other.lastMs);
  }

  #extend(end: ChainEnd, counts: RecordCounts): void {
    const known = this.#chains.get(chainKey(end))?.counts ?? NO_RECORDS;
    this.#chains.set(chainKey(end), { end, counts: sumOfCounts(known, counts) });
  }

  #takeEngines(engines: readonly EngineInfo[]): void {
    for (const engine of engines) this.#engines.set(canonicalJson(engine), engine);
  }

  /** An event time of a row taken in, ms */
  reach(timeMs: number): void {
    if (this.#lastMs === null || timeMs > this.#lastMs) this.#lastMs = timeMs;
  }

  /** Event times of rows taken in, ms */
  observe(eventTimesMs: BigInt64Array): void {
    const lastMs = greatestTime(eventTimesMs);
    if (lastMs !== null) this.reach(lastMs);
  }

  /** Counts a range as taken in although its segment cannot be read. */
  skip(end: ChainEnd): void {
    this.#extend(end, NO_RECORDS);
  }
}

/** The greatest of event times, ms; null of none */
export function greatestTime(eventTimesMs: BigInt64Array): number | null {
  const count = eventTimesMs.length;
  if (count === 0) return null;
  // As pairs of words, low first: no BigInt is made for a row.
  const low = new Uint32Array(eventTimesMs.buffer, eventTimesMs.byteOffset, 2 * count);
  const high = new Int32Array(eventTimesMs.buffer, eventTimesMs.byteOffset, 2 * count);
  let lastMs = Number.NEGATIVE_INFINITY;
  for (let word = 0; word < 2 * count; word += 2) {
    const timeMs = high[word + 1]! * 2 ** 32 + low[word]!;
    if (timeMs > lastMs) lastMs = timeMs;
  }
  return lastMs;
}

function chainKey(chain: { partition: number; origin: number }): string {
  return `${chain.partition}/${chain.origin}`;
}
