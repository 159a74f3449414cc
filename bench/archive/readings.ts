import { performance } from "node:perf_hooks";
import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { ArchiveFacts } from "../../pipelines/flow/archive-facts.js";
import { ArchiveFollower } from "../../pipelines/flow/archive-follower.js";
import { CutScheduler } from "../../pipelines/flow/cut-scheduler.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { status } from "../../pipelines/status.js";
import { chainTotals } from "../../pipelines/versions/chain-totals.js";
import { verifyVersion } from "../../pipelines/versions/verify-version.js";
import { keys } from "../../schemas/keys.js";
import { CountedStore } from "./counted-store.js";
import { memoryTable } from "./memory-table.js";
import { ARCHIVE, CARD, CHAINS, CONFIG, DATASET, NOW_MS, segmentAt } from "./many-segments.js";

/** What one reading took. */
export interface Reading {
  readonly seconds: number;
  readonly requests: number;
}

export const READINGS = [
  "status",
  "publisher tick",
  "follow step",
  "shard assigned to a top-K worker",
  "shard assigned to a new scorer",
  "versions verify",
] as const;
export type ReadingName = (typeof READINGS)[number];

/** Each reading once, as a process that has just started does it; the publisher's tick and the follow step as one that runs. */
export async function readAll(inner: Store, segments: number): Promise<Record<ReadingName, Reading>> {
  const counted = new CountedStore(inner);
  const { store } = counted;
  const measure = async (work: () => Promise<unknown>): Promise<Reading> => {
    const before = counted.requests;
    const begin = performance.now();
    await work();
    return { seconds: (performance.now() - begin) / 1000, requests: counted.requests - before };
  };
  const publisher = await Publisher.open(store);
  const tick = await measure(() => publisher.tick());
  const next = segmentAt(CHAINS[0]!, segments / CHAINS.length);
  await writeSegment(inner, CHAINS[0]!, next);
  const follow = await measure(() => publisher.tick());
  await inner.delete(keys.segment(CHAINS[0]!, next.header.start));
  return {
    status: await measure(() => status(CONFIG, store, null, NOW_MS)),
    "publisher tick": tick,
    "follow step": follow,
    "shard assigned to a top-K worker": await measure(() => restoreShard(store)),
    "shard assigned to a new scorer": await measure(async () => {
      const index = new LocalScoreIndex(store, memoryTable(), ARCHIVE);
      for (const chain of CHAINS) await index.catchUp(chain);
    }),
    "versions verify": await measure(async () => {
      const { findings } = await verifyVersion(store, DATASET.name, 1, {
        chainTotals: (manifest) => chainTotals(store, manifest),
      });
      if (findings.length > 0) throw new Error(`the small version has findings: ${JSON.stringify(findings[0])}`);
    }),
  };
}

/** As `run publish` is between two looks. */
class Publisher {
  readonly #follower: ArchiveFollower;
  readonly #scheduler: CutScheduler;

  private constructor(follower: ArchiveFollower, scheduler: CutScheduler) {
    this.#follower = follower;
    this.#scheduler = scheduler;
  }

  static async open(store: Store): Promise<Publisher> {
    const frontier = await currentFrontier(store, ARCHIVE);
    const { datasets } = CONFIG;
    const facts = await ArchiveFacts.restore({ store, ...ARCHIVE, card: CARD, datasets, countsOf: () => [] }, frontier);
    await facts.catchUp(frontier);
    const scheduler = await CutScheduler.open({ store, card: CARD, facts, frontier, nowMs: NOW_MS });
    const follower = new ArchiveFollower(store, ARCHIVE, frontier, (segment) => {
      facts.onSegment(segment);
      scheduler.observe(segment.header, NOW_MS);
      return Promise.resolve();
    });
    // The first one looks for gaps in chains that it has not met.
    await follower.follow();
    return new Publisher(follower, scheduler);
  }

  async tick(): Promise<void> {
    await this.#follower.follow();
    this.#scheduler.due(NOW_MS);
  }
}

/** As `run topk` does with a shard that it is given. */
async function restoreShard(store: Store): Promise<void> {
  const frontier = await currentFrontier(store, ARCHIVE);
  const live = await LiveDatasets.restore(
    { store, datasets: CONFIG.datasets, ...ARCHIVE, card: CARD, ...CONFIG.checkpoint },
    frontier,
  );
  for (const { end, ...place } of frontier) await live.catchUp({ ...ARCHIVE, ...place }, end);
}
