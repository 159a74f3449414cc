import type { Store } from "../../connectors/store/store.js";
import type { CoverageValue } from "../../operators/pure/coverage.js";
import type { DatasetState } from "../../operators/pure/dataset-state.js";
import { newestSpan, paneOf, panesOf, paneSpan } from "../../operators/pure/windows.js";
import type { Keeper } from "../../operators/stages/archive.js";
import {
  pruneCheckpoints,
  restoreLive,
  writeCheckpoint,
  type SpilledParts,
} from "../../operators/stages/checkpoint.js";
import { followSegments } from "../../operators/stages/chain.js";
import type { Dataset } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { ClassFill } from "../../schemas/progress.js";
import type { Segment } from "../../schemas/segment.js";

export interface LiveOptions {
  readonly store: Store;
  readonly datasets: readonly Dataset[];
  readonly teacher: string;
  readonly stream: string;
  readonly card: Pick<ModelCard, "labels" | "temperature">;
  /** Segments between two checkpoints */
  readonly everySegments: number;
  /** Checkpoints kept a dataset */
  readonly keep: number;
  /**
   * false: another process writes the checkpoints, and these states give thresholds alone. They stand on archived segments only, so
   * that whatever is cut at or above them needs nothing below them. Default true.
   */
  readonly writes?: boolean;
  readonly onWarning?: (message: string) => void;
}

interface Live {
  readonly dataset: Dataset;
  readonly state: DatasetState;
  /** Every pane's parts in the newest durable checkpoint */
  durable: SpilledParts;
  /** Those of panes that are not in memory */
  readonly spilled: SpilledParts;
  /** By pane, of the newest durable checkpoint */
  thresholds: Map<number, Float64Array>;
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
  #turn: Promise<unknown> = Promise.resolve();
  /** Event time before which panes are closed and may leave memory, ms */
  closedMs: () => number = () => Number.NEGATIVE_INFINITY;

  private constructor(options: LiveOptions, live: readonly Live[]) {
    this.#options = options;
    this.#live = live;
  }

  /** Restores each dataset from its newest checkpoint at or below `frontier`. */
  static async restore(options: LiveOptions, frontier: Frontier): Promise<LiveDatasets> {
    const live: Live[] = [];
    for (const dataset of options.datasets) {
      // Of windowed datasets the panes of the newest window; closed ones need not be in memory.
      const wanted = (pane: number, { lastMs }: CoverageValue): boolean =>
        lastMs !== null && pane >= panesOf(dataset.window, newestSpan(dataset.window, lastMs)).first;
      const { state, spilled } = await restoreLive(
        options.store,
        { ...options, dataset },
        frontier,
        wanted,
        options.onWarning,
      );
      const covered = state.coverage.value.records.in;
      live.push({
        dataset,
        state,
        durable: new Map(),
        spilled,
        thresholds: thresholdsOf(state),
        thresholdsAt: covered > 0 ? covered : null,
      });
    }
    return new LiveDatasets(options, live);
  }

  get datasets(): readonly { readonly dataset: Dataset; readonly state: DatasetState }[] {
    return this.#live;
  }

  /** What of the archive a dataset's state has taken in */
  coverageOf(dataset: Dataset): CoverageValue {
    return this.#of(dataset).state.coverage.value;
  }

  /** The panes that have rows, in memory or not, ascending */
  panesOf(dataset: Dataset): number[] {
    const { state, spilled } = this.#of(dataset);
    return [...new Set([...state.resident, ...spilled.keys()])].sort((a, b) => a - b);
  }

  #of(dataset: Dataset): Live {
    const live = this.#live.find((one) => one.dataset.name === dataset.name);
    if (live === undefined) throw new SluiceError("E_DATASET_UNKNOWN", `Expected a live dataset "${dataset.name}".`);
    return live;
  }

  /** Takes in what the archive has beyond a restored state. */
  async catchUp(chain: ChainName, end: number): Promise<void> {
    await this.#inTurn(async () => {
      for (const { state } of this.#live) {
        const from = state.coverage.endIn(chain);
        for await (const segment of followSegments(this.#options.store, chain, from, end)) {
          state.apply(segment);
          this.#sinceCheckpoint++;
        }
      }
    });
  }

  /** Takes in a segment just archived; checkpoints when it is time. */
  async onSegment(segment: Segment): Promise<void> {
    await this.#inTurn(async () => {
      for (const { state } of this.#live) state.apply(segment);
      this.#sinceCheckpoint++;
      if (this.#sinceCheckpoint >= this.#options.everySegments) await this.#checkpoint();
    });
  }

  /** One at a time: a snapshot is a view of its state, which must not change while it is written. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /**
   * Makes the states durable at their frontier, unless nothing came since the last time, and returns that frontier.
   * Panes that end at or before `closedMs` leave memory.
   */
  async checkpoint(): Promise<Frontier> {
    return this.#inTurn(async () => {
      await this.#checkpoint();
      return this.#live[0]?.state.coverage.frontier ?? [];
    });
  }

  async #checkpoint(): Promise<void> {
    if (this.#sinceCheckpoint === 0) return;
    this.#sinceCheckpoint = 0;
    const { store, keep, writes = true } = this.#options;
    const closedMs = this.closedMs();
    for (const live of this.#live) {
      const { dataset, state } = live;
      const thresholds = thresholdsOf(state);
      const closed = (pane: number): boolean => {
        const { endMs } = paneSpan(dataset.window, pane);
        return endMs !== null && endMs <= closedMs;
      };
      if (writes) live.durable = await writeCheckpoint(store, state, live.durable, live.spilled, closed);
      else for (const pane of state.resident.filter(closed)) state.release(pane);
      // Only now are they those of a durable checkpoint.
      live.thresholds = thresholds;
      live.thresholdsAt = state.coverage.value.records.in;
      if (writes) await pruneCheckpoints(store, state.parameters, keep);
    }
  }

  /** Who keeps bytes, by the thresholds of the newest durable checkpoints */
  keepers(): Keeper[] {
    return this.#live.map(({ dataset, state, thresholds, thresholdsAt }) => ({
      dataset: dataset.name,
      parameters: state.parameters,
      p: dataset.select.p,
      ranking: state.ranking,
      thresholdsAt,
      thresholdsFor: (eventTimeMs) => {
        const pane = paneOf(dataset.window, eventTimeMs);
        // Out of the window altogether: no version can hold it.
        if (pane === null) return NOTHING;
        return thresholds.get(pane) ?? null;
      },
    }));
  }

  /** Rows that hold a place in a top K, over all datasets, and how full the classes of the first dataset's newest pane are */
  fill(): { kept: number; fill: ClassFill | undefined } {
    let kept = 0;
    let first: ClassFill | undefined;
    for (const { state } of this.#live) {
      const { quota } = state;
      for (const pane of state.resident.toReversed()) {
        const counts = state.stateOf(pane)!.counts();
        let full = 0;
        for (const [index, count] of counts.entries()) {
          kept += Math.min(count, quota[index]!);
          if (count >= quota[index]!) full++;
        }
        first ??= { full, starving: counts.length - full, classes: counts.length };
      }
    }
    return { kept, fill: first };
  }
}

/** Reads as infinity for every class: typed arrays give undefined out of range, which no key is greater than. */
const NOTHING = new Float64Array(0);

function thresholdsOf(state: DatasetState): Map<number, Float64Array> {
  return new Map(state.resident.map((pane) => [pane, state.stateOf(pane)!.thresholds.slice()]));
}
