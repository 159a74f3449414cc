import type { Store } from "../../connectors/store/store.js";
import type { Coverage, CoverageValue } from "../../operators/state/coverage.js";
import { datasetTopk, type DatasetState } from "../../operators/topk/dataset-state.js";
import { newestSpan, panesOf, paneSpan } from "../../operators/select/windows.js";
import type { Keeper } from "../../operators/archive/archive.js";
import { pruneCheckpoints, restoreLive, writeCheckpoint, type SpilledParts } from "../../operators/state/checkpoint.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import type { Observer } from "../../schemas/observed.js";
import type { RankedCard } from "../../schemas/model-card.js";
import type { Segment } from "../../schemas/segment.js";
import type { TracedImage } from "../../schemas/trace.js";
import { shardOfClass, WHOLE, type Shard } from "../../schemas/shard.js";
import type { CandidatesMessage } from "../../schemas/wire/candidates.js";
import type { CutFacts } from "./cut-scheduler.js";
import { InTurn } from "../../connectors/in-turn.js";
import type { Downstream, Fill } from "./downstream.js";
import { TracedImages } from "./traced-images.js";
import { fillOf, keeperOf } from "./pane-thresholds.js";

export interface LiveOptions {
  readonly store: Store;
  readonly datasets: readonly Dataset[];
  readonly teacher: string;
  readonly stream: string;
  readonly card: RankedCard;
  /** Segments between two checkpoints */
  readonly everySegments: number;
  /** Checkpoints kept a dataset */
  readonly keep: number;
  /**
   * false: the checkpoints are others', and these states give thresholds alone. They stand on archived segments only, so that
   * whatever is cut at or above them needs nothing below them. Default true.
   */
  readonly writes?: boolean;
  /** Which classes are kept. Default: all */
  readonly shard?: Shard;
  /** Is told of each state that has just become durable, with the thresholds that it is durable with. */
  readonly onDurable?: (durable: DurableThresholds) => Promise<void>;
  readonly onWarning?: (message: string) => void;
  readonly observer?: Observer | undefined;
  readonly nowMs?: () => number;
}

/** What a durable checkpoint of one dataset says of its panes in memory. */
export interface DurableThresholds {
  readonly dataset: Dataset;
  readonly parameters: string;
  readonly at: Frontier;
  /** Records that it covers */
  readonly records: number;
  /** Images scored among them */
  readonly scored: number;
  /** By pane: least keys, and distinct images, [L] each */
  readonly panes: ReadonlyMap<number, { readonly keys: Float64Array; readonly counts: Int32Array }>;
  /** Panes that have left memory with it */
  readonly closed: readonly number[];
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
export class LiveDatasets implements CutFacts, Downstream {
  readonly #options: LiveOptions;
  readonly #live: readonly Live[];
  readonly #archive: ArchiveReader;
  #sinceCheckpoint = 0;
  /** A snapshot is a view of its state, which must not change while it is written. */
  readonly #turns = new InTurn();
  /** The traced images that these states have ranked, for the version that they come into */
  readonly traced: TracedImages;
  readonly #nowMs: () => number;
  /** Event time before which panes are closed and may leave memory, ms */
  closedMs: () => number = () => Number.NEGATIVE_INFINITY;

  private constructor(options: LiveOptions, live: readonly Live[]) {
    this.#options = options;
    this.#live = live;
    this.#nowMs = options.nowMs ?? Date.now;
    this.traced = new TracedImages(options.observer, this.#nowMs);
    this.#archive = new ArchiveReader(options.store, options);
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
      const covered = state.coverage.records.in;
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

  /** As `restore`, and takes in what the archive has up to `frontier`. */
  static async open(options: LiveOptions, frontier: Frontier): Promise<LiveDatasets> {
    const live = await LiveDatasets.restore(options, frontier);
    const { teacher, stream } = options;
    for (const { end, ...place } of frontier) await live.catchUp({ teacher, stream, ...place }, end);
    return live;
  }

  get datasets(): readonly Dataset[] {
    return this.#options.datasets;
  }

  /** What of the archive a dataset's state has taken in */
  coverageOf(dataset: Dataset): Coverage {
    return this.#of(dataset).state.coverage;
  }

  stateOf(dataset: Dataset): DatasetState {
    return this.#of(dataset).state;
  }

  /** From the panes in memory */
  countsOf(dataset: Dataset, span: Span): Iterable<number> {
    const { state } = this.#of(dataset);
    const { first, end } = panesOf(dataset.window, span);
    const panes = state.resident.filter((pane) => pane >= first && pane < end);
    const [only] = panes;
    if (only === undefined) return [];
    if (panes.length === 1) return state.stateOf(only)!.counts();
    const merged = datasetTopk({ ...this.#options, dataset }).restore();
    for (const pane of panes) merged.merge(state.stateOf(pane)!);
    return merged.counts();
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

  async catchUp(chain: ChainName, end: number): Promise<void> {
    await this.#turns.run(async () => {
      for (const { state } of this.#live) {
        const from = state.coverage.endIn(chain);
        for await (const segment of this.#archive.segments(chain, from, end)) {
          state.apply(segment);
          this.#sinceCheckpoint++;
        }
      }
    });
  }

  /** Checkpoints when it is time. */
  async take(segment: Segment, traced: readonly TracedImage[] = []): Promise<void> {
    await this.#turns.run(async () => {
      const beganMs = this.#nowMs();
      for (const { state } of this.#live) state.apply(segment);
      this.#sinceCheckpoint++;
      this.traced.rank(traced, beganMs);
      if (this.isDue) await this.#checkpoint();
    });
  }

  /**
   * Takes in what a segment gives this shard, from its message; from the archive where that does not continue what the states
   * have, or is not made for them. Returns whether the segment was new to any.
   */
  async onCandidates(message: CandidatesMessage, traced: readonly TracedImage[] = []): Promise<boolean> {
    const { shard = WHOLE } = this.#options;
    const { partition, origin, start, end } = message;
    const chain = { partition, origin };
    const sameShard = message.shard === shard.index && message.shards === shard.count;
    return this.#turns.run(async () => {
      let isNew = false;
      const beganMs = this.#nowMs();
      for (const { state } of this.#live) {
        const from = state.coverage.endIn(chain);
        if (end <= from) continue;
        isNew = true;
        const isSent = sameShard && message.datasets.some(({ parameters }) => parameters === state.parameters);
        if (isSent && start === from) state.applyCandidates(message);
        else for await (const segment of this.#archive.segments(chain, from, end)) state.apply(segment);
      }
      if (!isNew) return false;
      this.traced.rank(traced, beganMs);
      this.#sinceCheckpoint++;
      return true;
    });
  }

  /** Whether so many segments have come since the last checkpoint that it is time for one. */
  get isDue(): boolean {
    return this.#sinceCheckpoint >= this.#options.everySegments;
  }

  /**
   * Makes the states durable at their frontier, unless nothing came since the last time, and returns that frontier.
   * Panes that end at or before `closedMs` leave memory.
   */
  async checkpoint(): Promise<Frontier> {
    return this.#turns.run(async () => {
      await this.#checkpoint();
      return this.#live[0]?.state.coverage.frontier ?? [];
    });
  }

  /** As `checkpoint`; false where the states wait for segments that their candidates were pruned by, and are not durable. */
  async checkpointIfComplete(): Promise<boolean> {
    return this.#turns.run(async () => {
      if (!this.#live.every(({ state }) => state.isComplete)) return false;
      await this.#checkpoint();
      return true;
    });
  }

  async #checkpoint(): Promise<void> {
    if (this.#sinceCheckpoint === 0) return;
    const since = this.#sinceCheckpoint;
    this.#sinceCheckpoint = 0;
    const { store, keep, onDurable, writes = true } = this.#options;
    const nowMs = this.#nowMs;
    const closedMs = this.closedMs();
    try {
      for (const live of this.#live) {
        const { state } = live;
        const beganMs = nowMs();
        const durable = durableThresholds(live, closedMs);
        const { closed } = durable;
        const leaves = (pane: number): boolean => closed.includes(pane);
        if (writes) live.durable = await writeCheckpoint(store, state, live.durable, live.spilled, leaves);
        else
          closed.forEach((pane) => {
            state.release(pane);
          });
        // Only now are they those of a durable checkpoint.
        live.thresholds = new Map([...durable.panes].map(([pane, { keys }]) => [pane, keys]));
        live.thresholdsAt = durable.records;
        if (writes) this.#tell(live, durable, nowMs() - beganMs);
        await onDurable?.(durable);
        if (writes) await pruneCheckpoints(store, state, keep);
      }
    } catch (error) {
      this.#sinceCheckpoint += since;
      throw error;
    }
  }

  #tell({ dataset, state: { quota } }: Live, { records, panes }: DurableThresholds, tookMs: number): void {
    const { shard = WHOLE, observer } = this.#options;
    if (observer === undefined) return;
    const { index, count } = shard;
    const newest = panes.get(Math.max(...panes.keys()))?.counts ?? new Int32Array(quota.length);
    let classes = 0;
    let full = 0;
    newest.forEach((images, classIndex) => {
      if (shardOfClass(classIndex, count) !== index) return;
      classes++;
      if (images >= quota[classIndex]!) full++;
    });
    observer.take({ event: "checkpoint.written", dataset: dataset.name, shard: index, records, classes, full, tookMs });
  }

  async close(): Promise<void> {
    await this.checkpoint();
  }

  keepers(): Keeper[] {
    return this.#live.map(({ dataset, state: { parameters, ranking }, thresholds, thresholdsAt }) =>
      keeperOf(dataset, { parameters, ranking, thresholdsAt }, (pane) => thresholds.get(pane) ?? null),
    );
  }

  fill(): Fill {
    return fillOf(
      this.#live.flatMap(({ state }) =>
        state.resident.toReversed().map((pane) => ({ counts: state.stateOf(pane)!.counts(), quota: state.quota })),
      ),
    );
  }
}

function durableThresholds({ dataset, state }: Live, closedMs: number): DurableThresholds {
  const { resident, parameters, coverage } = state;
  const { records } = coverage;
  return {
    dataset,
    parameters,
    at: coverage.frontier,
    records: records.in,
    scored: records.scored,
    panes: new Map(
      resident.map((pane) => {
        const topk = state.stateOf(pane)!;
        // Counting makes the thresholds exact.
        const counts = topk.counts();
        return [pane, { keys: topk.thresholds.slice(), counts }];
      }),
    ),
    closed: resident.filter((pane) => {
      const { endMs } = paneSpan(dataset.window, pane);
      return endMs !== null && endMs <= closedMs;
    }),
  };
}

function thresholdsOf(state: DatasetState): Map<number, Float64Array> {
  return new Map(
    state.resident.map((pane) => {
      const topk = state.stateOf(pane)!;
      // As in `durableThresholds`.
      topk.counts();
      return [pane, topk.thresholds.slice()];
    }),
  );
}
