import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { labelledImages } from "../../operators/archive/image-labels.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { quota } from "../../operators/select/quota.js";
import { ranking, type Ranking } from "../../operators/select/ranking.js";
import type { Retractions } from "../../operators/select/retractions.js";
import { restoreSpan } from "../../operators/state/checkpoint.js";
import { SpanState } from "../../operators/topk/dataset-state.js";
import type { TopkRows } from "../../operators/topk/topk.js";
import { estimateTopkBytes } from "../../operators/topk/topk-size.js";
import { newestManifest } from "../../operators/version/manifests.js";
import { reserveOf, type Dataset, type Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { LabelFrontier } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { classKeys, versionRows } from "../whatif/whatif-overlap.js";
import { KCurve } from "./k-curve.js";

export interface HeldOptions {
  readonly store: Store;
  readonly dataset: Dataset;
  readonly card: ModelCard & ClassNames;
  readonly stream: string;
  readonly span: Span;
  /** Rows a class to hold, where that is more than the dataset's own K + R */
  readonly depth?: number | undefined;
  readonly maxStateBytes: number;
}

/** How a class is ranked now: its standing rows, best first, and where each is in the state's list. */
export interface StandingRows {
  readonly rows: TopkRows;
  /** Places in `rows` of those that people have not taken out, [n] */
  readonly places: Int32Array;
  /** Rows that people have taken out */
  readonly retracted: number;
}

/**
 * The ranking of a selection as the archive is now, kept in memory to be asked again and again: it follows the archive's
 * growth and what people say. Holds 32 bytes a row.
 */
export class HeldSelection {
  readonly dataset: Dataset;
  readonly ranked: Ranking;
  readonly depth: number | undefined;
  readonly #options: HeldOptions;
  readonly #archive: ArchiveReader;
  #state: SpanState;
  #frontier: Frontier = [];
  #labels: LabelFrontier = [];
  #retractions: Retractions;
  #newest: Manifest | null = null;
  #curve: Promise<KCurve> | null = null;

  private constructor(options: HeldOptions, state: SpanState, retractions: Retractions) {
    this.#options = options;
    this.dataset = options.dataset;
    this.depth = options.depth;
    this.ranked = ranking(options.dataset.select, options.card);
    this.#archive = new ArchiveReader(options.store, { teacher: teacherDigest(options.card), stream: options.stream });
    this.#state = state;
    this.#retractions = retractions;
  }

  /** Throws E_SELECTION, E_MEMORY, and what reading the archive throws. `onSegment` is told how many were read. */
  static async open(
    options: HeldOptions,
    frontier: Frontier,
    labels: LabelFrontier,
    onSegment: (done: number) => void,
    signal?: AbortSignal,
  ): Promise<HeldSelection> {
    const { store, dataset, card, stream, span, depth } = options;
    assertFits(options);
    const stateOptions = { dataset, teacher: teacherDigest(card), stream, card };
    const state =
      depth === undefined
        ? await restoreSpan(store, stateOptions, span, frontier)
        : new SpanState(
            stateOptions,
            span,
            undefined,
            new Int32Array(ranking(dataset.select, card).labels.length).fill(depth),
          );
    const images = await labelledImages(store, stream, labels);
    const held = new HeldSelection(options, state, images.retractions(selectedClasses(dataset.select, card), card));
    held.#labels = labels;
    await held.follow(frontier, labels, onSegment, signal);
    return held;
  }

  /** Takes in what was archived and said since. */
  async follow(
    frontier: Frontier,
    labels: LabelFrontier,
    onSegment: (done: number) => void = () => undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const { store, stream, card, dataset } = this.#options;
    let done = 0;
    for (const { end, ...place } of frontier) {
      const from = this.#state.coverage.endIn(place);
      for await (const segment of this.#archive.segments(place, from, end)) {
        if (signal?.aborted === true) throw new SluiceError("E_CANCELLED", "Nobody waits for the ranking any more.");
        if (this.#state.apply(segment)) this.#curve = null;
        onSegment(++done);
      }
    }
    this.#frontier = frontier;
    if (JSON.stringify(labels) !== JSON.stringify(this.#labels)) {
      const images = await labelledImages(store, stream, labels);
      this.#retractions = images.retractions(selectedClasses(dataset.select, card), card);
      this.#labels = labels;
      this.#curve = null;
    }
    const newest = await newestManifest(store, dataset.name);
    if (newest?.id !== this.#newest?.id || newest?.number !== this.#newest?.number) {
      this.#newest = newest;
      this.#curve = null;
    }
  }

  /** The version that the overlap is with */
  get newest(): Manifest | null {
    return this.#newest;
  }

  get frontier(): Frontier {
    return this.#frontier;
  }

  /** K of each class as declared, as of what is archived, [L] */
  get quota(): Int32Array {
    return quota(this.dataset.select.k, this.ranked, this.#state.coverage.records);
  }

  get archive(): ArchiveReader {
    return this.#archive;
  }

  /** How a class is ranked now. */
  standing(classIndex: number): StandingRows {
    const rows = this.#state.topk.rows(classIndex);
    const places: number[] = [];
    for (let row = 0; row < rows.count; row++) {
      if (!this.#retractions.has(classIndex, rows.identity, 4 * row)) places.push(row);
    }
    return { rows, places: Int32Array.from(places), retracted: rows.count - places.length };
  }

  /** Whether a class's list is all that ever came, down to the floor. */
  isComplete(classIndex: number): boolean {
    const { topk } = this.#state;
    return topk.counts()[classIndex]! < topk.kept[classIndex]!;
  }

  /** What every K would give, as far as the lists go. */
  async curve(): Promise<KCurve> {
    const made = (this.#curve ??= this.#makeCurve());
    try {
      return await made;
    } catch (error) {
      if (this.#curve === made) this.#curve = null;
      throw error;
    }
  }

  async #makeCurve(): Promise<KCurve> {
    const { store, card } = this.#options;
    const { select } = this.dataset;
    const newest = this.#newest;
    const byNumber = newest?.teacher.digest === teacherDigest(card);
    return KCurve.make({
      state: this.#state,
      ranked: this.ranked,
      retractions: this.#retractions,
      keys: classKeys(select, card, byNumber),
      before: newest === null ? null : await versionRows(store, newest, byNumber),
      p: select.p,
      temperature: select.temperature ?? card.temperature,
    });
  }
}

function assertFits({ dataset, card, depth, maxStateBytes }: HeldOptions): void {
  const ranked = ranking(dataset.select, card);
  const k = depth ?? quota(dataset.select.k, ranked, "most");
  const stateBytes = estimateTopkBytes({ classes: ranked.labels.length, k, reserve: reserveOf(dataset) });
  if (stateBytes <= maxStateBytes) return;
  throw new SluiceError(
    "E_MEMORY",
    `Expected a ranking that fits into ${maxStateBytes} bytes of memory, found an estimate of ${stateBytes} bytes. Ask for a smaller K: \`sluice whatif\` on a larger machine answers for this one.`,
    { stateBytes, memoryBytes: maxStateBytes },
  );
}
