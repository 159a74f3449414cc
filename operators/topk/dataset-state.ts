import { candidates } from "./candidates.js";
import { Coverage, type CoverageValue } from "../state/coverage.js";
import { parametersDigest } from "../select/numbered-selection.js";
import type { Out } from "./out.js";
import { quota } from "../select/quota.js";
import { ranking, type Ranking } from "../select/ranking.js";
import { rowsByPane, selectRows } from "../archive/select-rows.js";
import { topk, type TopkOperator, type TopkState } from "./topk.js";
import { isIn, paneOf } from "../select/windows.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { reserveOf, type Dataset, type Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ChainEnd } from "../../schemas/frontier.js";
import type { RankedCard } from "../../schemas/model-card.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";
import { ownClasses, WHOLE, type Shard } from "../../schemas/shard.js";
import type { CandidatesMessage } from "../../schemas/wire/candidates.js";

export interface DatasetStateOptions {
  readonly dataset: Dataset;
  readonly teacher: string;
  readonly stream: string;
  /** The teacher's labels and temperature */
  readonly card: RankedCard;
  /** Which classes the state keeps. Default: all */
  readonly shard?: Shard;
  /** Declarations of lost offsets of the archive that the state knows of. Default 0 */
  readonly losses?: number;
}

/**
 * The operator that each of a dataset's states is made by. `depth`: rows a class beside the reserve, in place of the greatest K that
 * the selection may come to, [L].
 */
export function datasetTopk({ dataset, card }: DatasetStateOptions, depth?: Int32Array): TopkOperator {
  const ranked = ranking(dataset.select, card);
  return topk({
    classes: ranked.labels.length,
    k: depth ?? quota(dataset.select.k, ranked, "most"),
    reserve: reserveOf(dataset),
    floorKey: ranked.floorKey,
  });
}

/** Where candidates go that are not for the state itself to rank. */
export interface CandidateSink {
  /** Least key of a candidate that may enter a class, [L], read before each batch */
  readonly thresholds: Float64Array;
  /** The batch is valid until it returns; its columns may be written over. */
  readonly give: (batch: CandidateBatch) => void;
}

/** Turns scored rows into the candidates of one state, or of a sink. */
class Intake {
  readonly state: TopkState;
  readonly #candidates;
  readonly #ranking;

  readonly #give: CandidateSink["give"];

  constructor({ dataset, card, shard = WHOLE }: DatasetStateOptions, state: TopkState, sink?: CandidateSink) {
    this.state = state;
    this.#give =
      sink?.give ??
      ((made) => {
        state.onBatch(made, REFUSE);
      });
    this.#ranking = ranking(dataset.select, card);
    // Candidates below the state's own thresholds are not even made: they could not enter it.
    const classes = this.#ranking.labels.length;
    this.#candidates = candidates({
      p: dataset.select.p,
      classes,
      own: shard.count === 1 ? undefined : ownClasses(shard, classes),
      floorKey: this.#ranking.floorKey,
      thresholds: sink?.thresholds ?? state.thresholds,
    });
  }

  onBatch(batch: ScoredBatch): void {
    if (batch.count === 0) return;
    this.#candidates.onBatch(this.#ranking.rank(batch), {
      emit: this.#give,
      reject: (rows, code, reason) => {
        REFUSE.reject(rows, code, reason);
      },
    });
  }
}

const REFUSE: Out<never> = {
  emit: () => undefined,
  reject: (_rows, code, reason) => {
    throw new SluiceError(code, `An archived row cannot be ranked: ${reason}`);
  },
};

/**
 * A dataset's top-K as the archive grows: one state a pane, and what of the archive they cover. A pane that is released
 * leaves memory; rows that come for it later start it anew, and merging the two gives what one would have been.
 */
export class DatasetState {
  readonly parameters: string;
  readonly shard: Shard;
  readonly coverage: Coverage;
  readonly losses: number;
  readonly #options: DatasetStateOptions;
  readonly ranking: Ranking;
  readonly #operator: TopkOperator;
  readonly #panes = new Map<number, Intake>();
  readonly #changed = new Set<number>();
  /** Frontiers of all thresholds that rows taken in were pruned by: by chain, the furthest */
  readonly #pruned = new Map<string, ChainEnd>();

  constructor(options: DatasetStateOptions, covered?: CoverageValue) {
    this.parameters = parametersDigest(options.dataset, options.teacher, options.stream, options.card);
    this.shard = options.shard ?? WHOLE;
    this.coverage = new Coverage(covered);
    this.losses = options.losses ?? 0;
    this.#options = options;
    this.ranking = ranking(options.dataset.select, options.card);
    this.#operator = datasetTopk(options);
  }

  /** K of each class, as of what the state covers, [L] */
  get quota(): Int32Array {
    return quotaOf(this.#options, this.coverage);
  }

  /** Returns whether the segment was new. Throws E_CHAIN_GAP where it starts beyond what the state covers. */
  apply({ header, batch }: Segment): boolean {
    if (!this.coverage.take(header)) return false;
    this.coverage.observe(batch.eventTimeMs);
    for (const [pane, rows] of rowsByPane(this.#options.dataset.window, batch)) {
      this.#changed.add(pane);
      this.pane(pane).onBatch(rows);
    }
    return true;
  }

  /**
   * As `apply`, from the message of its candidates, which must be of this state's shard and parameters. Rows may be left out that
   * a checkpointed state had no need of: see `isComplete`.
   */
  applyCandidates(message: CandidatesMessage): boolean {
    const sent = message.datasets.find(({ parameters }) => parameters === this.parameters);
    if (sent === undefined) throw new SluiceError("E_INTERNAL", "Expected candidates of the state's parameters.");
    if (!this.coverage.take(message)) return false;
    if (message.lastMs !== null) this.coverage.reach(message.lastMs);
    for (const { paneMs, thresholdsAt, batch } of sent.parts) {
      const pane = paneMs === null ? 0 : paneOf(this.#options.dataset.window, paneMs);
      if (pane === null) continue;
      this.#changed.add(pane);
      this.pane(pane).state.onBatch(batch, REFUSE);
      for (const end of thresholdsAt ?? []) {
        const name = `${end.partition}/${end.origin}`;
        if (end.end > (this.#pruned.get(name)?.end ?? end.origin)) this.#pruned.set(name, end);
      }
    }
    return true;
  }

  /** Whether what this state covers reaches all that its candidates were pruned by: only then may it be made durable. */
  get isComplete(): boolean {
    return [...this.#pruned.values()].every((end) => end.end <= this.coverage.endIn(end));
  }

  /** The state of a pane in memory, made where there is none. */
  pane(pane: number): Intake {
    let intake = this.#panes.get(pane);
    if (intake === undefined) {
      intake = new Intake(this.#options, this.#operator.restore());
      this.#panes.set(pane, intake);
    }
    return intake;
  }

  /** Panes in memory, ascending */
  get resident(): readonly number[] {
    return [...this.#panes.keys()].sort((a, b) => a - b);
  }

  stateOf(pane: number): TopkState | undefined {
    return this.#panes.get(pane)?.state;
  }

  /** Panes that have had rows since this was last asked, ascending */
  takeChanged(): number[] {
    const changed = [...this.#changed].sort((a, b) => a - b);
    this.#changed.clear();
    return changed;
  }

  /** Puts back panes that were taken and could not be made durable. */
  markChanged(panes: Iterable<number>): void {
    for (const pane of panes) this.#changed.add(pane);
  }

  release(pane: number): void {
    this.#panes.delete(pane);
  }
}

function quotaOf({ dataset, card }: DatasetStateOptions, coverage: Coverage): Int32Array {
  return quota(dataset.select.k, ranking(dataset.select, card), coverage.records);
}

/** One state over a span, from panes' snapshots and archived segments: what a version is cut from. */
export class SpanState {
  readonly coverage: Coverage;
  readonly topk: TopkState;
  readonly #intake: Intake;
  readonly #span: Span;
  readonly #options: DatasetStateOptions;

  /** `depth`: see `datasetTopk`. With a sink nothing is ranked here but what is given to `topk`. */
  constructor(
    options: DatasetStateOptions,
    span: Span,
    covered?: CoverageValue,
    depth?: Int32Array,
    sink?: CandidateSink,
  ) {
    this.coverage = new Coverage(covered);
    this.topk = datasetTopk(options, depth).restore();
    this.#intake = new Intake(options, this.topk, sink);
    this.#span = span;
    this.#options = options;
  }

  /** K of each class, as of what the state covers, [L] */
  get quota(): Int32Array {
    return quotaOf(this.#options, this.coverage);
  }

  /** Returns whether the segment was new; rows outside the span are counted and no more. */
  apply({ header, batch }: Segment): boolean {
    if (!this.coverage.take(header)) return false;
    this.#intake.onBatch(this.#rowsInSpan(batch));
    return true;
  }

  /** Takes in what a segment that is covered already gives one class shard, which had not come so far. */
  level({ batch }: Segment, shard: Shard): void {
    new Intake({ ...this.#options, shard }, this.topk).onBatch(this.#rowsInSpan(batch));
  }

  #rowsInSpan(batch: ScoredBatch): ScoredBatch {
    const { startMs, endMs } = this.#span;
    if (startMs === null && endMs === null) return batch;
    const rows: number[] = [];
    for (let row = 0; row < batch.count; row++) {
      if (isIn(this.#span, Number(batch.eventTimeMs[row]!))) rows.push(row);
    }
    return rows.length === batch.count ? batch : selectRows(batch, rows);
  }
}
