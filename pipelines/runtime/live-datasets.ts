import type { Store } from "../../connectors/store/store.js";
import { DatasetState } from "../../operators/pure/dataset-state.js";
import type { Keeper } from "../../operators/stages/archive.js";
import { pruneCheckpoints, restoreAtOrBelow, writeCheckpoint } from "../../operators/stages/checkpoint.js";
import { followSegments } from "../../operators/stages/chain.js";
import type { Dataset } from "../../schemas/dataset.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import type { ClassFill } from "../../schemas/progress.js";
import type { Segment } from "../../schemas/segment.js";

export interface LiveOptions {
  readonly store: Store;
  readonly datasets: readonly Dataset[];
  readonly teacher: string;
  readonly stream: string;
  readonly classCount: number;
  /** Segments between two checkpoints */
  readonly everySegments: number;
  /** Checkpoints kept a dataset */
  readonly keep: number;
  readonly onWarning?: (message: string) => void;
}

interface Live {
  readonly dataset: Dataset;
  readonly state: DatasetState;
  /** Of the newest durable checkpoint */
  thresholds: Float64Array | null;
  thresholdsAt: number | null;
}

/**
 * The top-K states that follow the archive as it grows. They serve checkpoints, thresholds, freshness and status; what
 * is published comes from the archive (see `cut`).
 */
export class LiveDatasets {
  readonly #options: LiveOptions;
  readonly #live: readonly Live[];
  #sinceCheckpoint = 0;

  private constructor(options: LiveOptions, live: readonly Live[]) {
    this.#options = options;
    this.#live = live;
  }

  /** Restores each dataset from its newest checkpoint at or below `frontier`. */
  static async restore(options: LiveOptions, frontier: Frontier): Promise<LiveDatasets> {
    const live: Live[] = [];
    for (const dataset of options.datasets) {
      const state = await restoreAtOrBelow(options.store, { ...options, dataset }, frontier, options.onWarning);
      const one: Live = { dataset, state, thresholds: null, thresholdsAt: null };
      if (state.records.in > 0) rememberThresholds(one);
      live.push(one);
    }
    return new LiveDatasets(options, live);
  }

  /** Takes in what the archive has beyond a restored state. */
  async catchUp(chain: ChainName, end: number): Promise<void> {
    for (const { state } of this.#live) {
      for await (const segment of followSegments(this.#options.store, chain, state.endIn(chain), end))
        state.apply(segment);
    }
  }

  /** Takes in a segment just archived; checkpoints when it is time. */
  async onSegment(segment: Segment): Promise<void> {
    for (const { state } of this.#live) state.apply(segment);
    this.#sinceCheckpoint++;
    if (this.#sinceCheckpoint >= this.#options.everySegments) await this.checkpoint();
  }

  /** Makes the states durable at their frontier, unless nothing came since the last time. */
  async checkpoint(): Promise<void> {
    if (this.#sinceCheckpoint === 0) return;
    this.#sinceCheckpoint = 0;
    for (const live of this.#live) {
      await writeCheckpoint(this.#options.store, live.state);
      rememberThresholds(live);
      await pruneCheckpoints(this.#options.store, live.state.parameters, this.#options.keep);
    }
  }

  /** Who keeps bytes, by the thresholds of the newest durable checkpoints */
  keepers(): Keeper[] {
    return this.#live.map(({ dataset, state, thresholds, thresholdsAt }) => ({
      dataset: dataset.name,
      parameters: state.parameters,
      p: dataset.select.p,
      thresholds,
      thresholdsAt,
    }));
  }

  /** Rows that hold a place in a top K, over all datasets, and how full the first dataset's classes are */
  fill(): { kept: number; fill: ClassFill | undefined } {
    let kept = 0;
    let first: ClassFill | undefined;
    for (const { dataset, state } of this.#live) {
      const { k } = dataset.select;
      let full = 0;
      const counts = state.topk.counts();
      for (const count of counts) {
        kept += Math.min(count, k);
        if (count >= k) full++;
      }
      first ??= { full, starving: counts.length - full, classes: counts.length };
    }
    return { kept, fill: first };
  }
}

function rememberThresholds(live: Live): void {
  live.thresholds = live.state.topk.thresholds.slice();
  live.thresholdsAt = live.state.records.in;
}
