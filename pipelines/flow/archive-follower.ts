import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { sortFrontier, type Frontier } from "../../schemas/frontier.js";
import { keys } from "../../schemas/keys.js";
import type { Segment } from "../../schemas/segment.js";

/** Passes over chains that grow all the time; after so many the ends are taken as they were read. */
const PASSES = 8;

/** Follows a teacher's chains over a stream as they grow, live ones and replays. */
export class ArchiveFollower {
  readonly #archive: ArchiveReader;
  readonly #onSegment: (segment: Segment) => Promise<void>;
  /** By chain */
  readonly #ends = new Map<string, Frontier[number]>();

  /** `from`: what is known already. */
  constructor(
    store: Store,
    archive: { readonly teacher: string; readonly stream: string },
    from: Frontier,
    onSegment: (segment: Segment) => Promise<void>,
  ) {
    this.#archive = new ArchiveReader(store, archive);
    this.#onSegment = onSegment;
    for (const end of from) this.#ends.set(keys.chain({ ...archive, ...end }), end);
  }

  /**
   * Hands on what the archive has beyond what is known, each chain in order; returns where all chains ended at one moment, as
   * `currentFrontier`. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT.
   */
  async follow(): Promise<Frontier> {
    for (let pass = 0, grown = true; grown && pass < PASSES; pass++) {
      grown = false;
      for (const chain of await this.#archive.chains()) {
        const known = this.#ends.get(keys.chain(chain));
        const from = known?.end ?? chain.origin;
        const reader = this.#archive.chain(chain);
        // A gap is looked for where something follows, and once at the start.
        if (known !== undefined && !(await reader.isBeyond(from))) continue;
        const end = await reader.end(from);
        for await (const segment of reader.segments(from, end)) await this.#onSegment(segment);
        this.#ends.set(keys.chain(chain), { partition: chain.partition, origin: chain.origin, end });
        grown ||= end > from;
      }
    }
    return this.frontier;
  }

  get frontier(): Frontier {
    return sortFrontier(this.#ends.values());
  }
}
