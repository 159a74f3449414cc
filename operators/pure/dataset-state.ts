import { candidates } from "./candidates.js";
import { Coverage, type CoverageValue } from "./coverage.js";
import type { Out } from "./operator.js";
import { selectRows } from "./select-rows.js";
import { topk, type TopkOperator, type TopkState } from "./topk.js";
import { isIn, paneOf } from "./windows.js";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { parametersDigest, reserveOf, type Dataset, type Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import type { Segment } from "../../schemas/segment.js";

export interface DatasetStateOptions {
  readonly dataset: Dataset;
  readonly teacher: string;
  readonly stream: string;
  /** C */
  readonly classCount: number;
}

/** The operator that each of a dataset's states is made by. */
export function datasetTopk({ dataset, classCount }: DatasetStateOptions): TopkOperator {
  const { k } = dataset.select;
  return topk({ classes: classCount, k, reserve: reserveOf(dataset), floorKey: floorKeyOf(dataset) });
}

function floorKeyOf(dataset: Dataset): number {
  return dataset.select.floor > 0 ? Math.log(dataset.select.floor) : Number.NEGATIVE_INFINITY;
}

/** Turns scored rows into the candidates of one state. */
class Intake {
  readonly state: TopkState;
  readonly #candidates;

  constructor(options: DatasetStateOptions, state: TopkState) {
    const { dataset, classCount } = options;
    this.state = state;
    // Candidates below the state's own thresholds are not even made: they could not enter it.
    this.#candidates = candidates({
      p: dataset.select.p,
      classes: classCount,
      floorKey: floorKeyOf(dataset),
      thresholds: state.thresholds,
    }).restore();
  }

  onBatch(batch: ScoredBatch): void {
    if (batch.count === 0) return;
    this.#candidates.onBatch(batch, {
      emit: (made: CandidateBatch) => {
        this.state.onBatch(made, REFUSE);
      },
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
  readonly coverage: Coverage;
  readonly #options: DatasetStateOptions;
  readonly #operator: TopkOperator;
  readonly #panes = new Map<number, Intake>();
  readonly #changed = new Set<number>();

  constructor(options: DatasetStateOptions, covered?: CoverageValue) {
    this.parameters = parametersDigest(options.dataset, options.teacher, options.stream);
    this.coverage = new Coverage(covered);
    this.#options = options;
    this.#operator = datasetTopk(options);
  }

  /** Returns whether the segment was new. Throws E_CHAIN_GAP where it starts beyond what the state covers. */
  apply({ header, batch }: Segment): boolean {
    if (!this.coverage.take(header)) return false;
    this.coverage.observe(batch.eventTimeMs);
    for (const [pane, rows] of this.#byPane(batch)) {
      this.#changed.add(pane);
      this.pane(pane).onBatch(rows);
    }
    return true;
  }

  /** Rows by pane; one entry, and nothing copied, where a batch lies in one pane. */
  #byPane(batch: ScoredBatch): Map<number, ScoredBatch> {
    const { window } = this.#options.dataset;
    const rows = new Map<number, number[]>();
    for (let row = 0; row < batch.count; row++) {
      const pane = paneOf(window, Number(batch.eventTimeMs[row]!));
      if (pane === null) continue;
      const list = rows.get(pane);
      if (list === undefined) rows.set(pane, [row]);
      else list.push(row);
    }
    return new Map(
      [...rows].map(([pane, list]) => [pane, list.length === batch.count ? batch : selectRows(batch, list)]),
    );
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

  release(pane: number): void {
    this.#panes.delete(pane);
  }
}

/** One state over a span, from panes' snapshots and archived segments: what a version is cut from. */
export class SpanState {
  readonly coverage: Coverage;
  readonly topk: TopkState;
  readonly #intake: Intake;
  readonly #span: Span;

  constructor(options: DatasetStateOptions, span: Span, covered?: CoverageValue) {
    this.coverage = new Coverage(covered);
    this.topk = datasetTopk(options).restore();
    this.#intake = new Intake(options, this.topk);
    this.#span = span;
  }

  /** Returns whether the segment was new; rows outside the span are counted and no more. */
  apply({ header, batch }: Segment): boolean {
    if (!this.coverage.take(header)) return false;
    const { startMs, endMs } = this.#span;
    if (startMs === null && endMs === null) {
      this.#intake.onBatch(batch);
      return true;
    }
    const rows: number[] = [];
    for (let row = 0; row < batch.count; row++) {
      if (isIn(this.#span, Number(batch.eventTimeMs[row]!))) rows.push(row);
    }
    this.#intake.onBatch(rows.length === batch.count ? batch : selectRows(batch, rows));
    return true;
  }
}
