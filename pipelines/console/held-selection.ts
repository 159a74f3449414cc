import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { labelledImages, labelsSince } from "../../operators/archive/image-labels.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { LeftOutRows, type RowHashes } from "../../operators/select/left-out-rows.js";
import type { PlacedClass, PlacedRows } from "../../operators/select/placed-rows.js";
import { quota } from "../../operators/select/quota.js";
import { ranking, type Ranking } from "../../operators/select/ranking.js";
import { LabelledImages, type Retractions } from "../../operators/select/retractions.js";
import { leaveOutOf, placementsOf } from "../../operators/state/cut.js";
import { restoreSpan } from "../../operators/state/checkpoint.js";
import { SpanState } from "../../operators/topk/dataset-state.js";
import type { TopkRows } from "../../operators/topk/topk.js";
import { estimateTopkBytes } from "../../operators/topk/topk-size.js";
import type { RowPlaces } from "../../operators/version/archived-rows.js";
import { standingList } from "../../operators/version/choose-rows.js";
import { readGuard, type StandingGuard } from "../../operators/version/guard-sets.js";
import { newestManifest, versionNumbers } from "../../operators/version/manifests.js";
import { placedImages } from "../../operators/version/placed-images.js";
import { rowHashes } from "../../operators/version/row-hashes.js";
import { reserveOf, type Dataset, type Span } from "../../schemas/dataset.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { LabelFrontier } from "../../schemas/image-label.js";
import type { LeftOut } from "../../schemas/left-out.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { HeldAnswers } from "../versions/held-answers.js";
import { classKeys, versionRows } from "../whatif/whatif-overlap.js";
import { KCurve } from "./k-curve.js";

let made = 0;
/** Classes whose left-out images are held, of one ranking */
const CLASSES_HELD = 64;

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

/** How a class is ranked now: what people placed in it, then what the teacher ranks and nobody has taken out. */
export interface StandingRows {
  /** Another number where anything differs that a wall shows */
  readonly generation: number;
  /** Best first; the keys of placed rows are above all others */
  readonly rows: TopkRows;
  /** The first rows that people placed, by what the teacher gives them; null: none */
  readonly placed: PlacedClass | null;
  /** Rows that people have taken out */
  readonly retracted: number;
  /** Near duplicates and guarded images, which give their places to the next; in the order of their ranks */
  readonly leftOut: readonly { readonly at: number; readonly why: LeftOut }[];
  /** Places in `rows` of those that a version would have, as far as K goes, [n] */
  readonly places: Int32Array;
}

/**
 * The ranking of a selection as the archive is now, kept in memory to be asked again and again: it follows the archive's
 * growth and what people say. Holds 32 bytes a row.
 */
export class HeldSelection {
  /** No other one of this process is called so */
  readonly name = String(++made);
  readonly dataset: Dataset;
  readonly ranked: Ranking;
  readonly depth: number | undefined;
  readonly #options: HeldOptions;
  readonly #archive: ArchiveReader;
  #state: SpanState;
  #frontier: Frontier = [];
  #labels: LabelFrontier = [];
  #said = new LabelledImages();
  /** Counts up with what is said */
  #sayings = 0;
  #retractions: Retractions;
  #placed: PlacedRows | null = null;
  /** Whether that is as of all that is ranked */
  #isPlaced = true;
  #guard: StandingGuard = { objects: 0, sets: [], by: null };
  #newest: Manifest | null = null;
  #curve: Promise<KCurve> | null = null;
  /** Counts up where anything differs that a wall shows */
  #generation = 0;
  readonly #leftOut = new HeldAnswers<StandingRows["leftOut"]>(CLASSES_HELD);

  private constructor(options: HeldOptions, state: SpanState) {
    this.#options = options;
    this.dataset = options.dataset;
    this.depth = options.depth;
    this.ranked = ranking(options.dataset.select, options.card);
    this.#archive = new ArchiveReader(options.store, { teacher: teacherDigest(options.card), stream: options.stream });
    this.#state = state;
    this.#retractions = this.#said.retractions(selectedClasses(options.dataset.select, options.card), options.card);
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
    heldBytes(options);
    if (dataset.select.where?.scores !== undefined) {
      throw new SluiceError(
        "E_SELECTION",
        `Expected a dataset without conditions on other teachers' scores, found them in "${dataset.name}": each look would read their archives. \`sluice whatif ${dataset.name}\` answers.`,
      );
    }
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
    const held = new HeldSelection(options, state);
    await held.follow(frontier, onSegment, signal);
    await held.heed(labels);
    return held;
  }

  /** Takes in what was archived since. Those who ask meanwhile are answered from as far as it has come. */
  async follow(
    frontier: Frontier,
    onSegment: (done: number) => void = () => undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    // Rows are ranked one segment after the other, and are looked up from the first one on.
    this.#frontier = frontier;
    let done = 0;
    for (const { end, ...place } of frontier) {
      const from = this.#state.coverage.endIn(place);
      for await (const segment of this.#archive.segments(place, from, end)) {
        if (signal?.aborted === true) throw new SluiceError("E_CANCELLED", "Nobody waits for the ranking any more.");
        if (this.#state.apply(segment)) {
          // What is cached of a class's list goes by its places, which each segment moves; a curve is a whole of its own.
          this.#generation++;
          if (this.#isPlaced) this.#curve = null;
          this.#isPlaced = false;
        }
        onSegment(++done);
      }
    }
    // An image that was placed before it was seen may have come.
    if (!this.#isPlaced) await this.#place();
    this.#isPlaced = true;
  }

  /** Takes in what was said, guarded and published since. */
  async heed(labels: LabelFrontier): Promise<void> {
    const { store, stream, dataset } = this.#options;
    if (JSON.stringify(labels) !== JSON.stringify(this.#labels)) {
      const added = await labelsSince(store, stream, this.#labels, labels);
      if (added === null) this.#said = await labelledImages(store, stream, labels);
      else for (const label of added) this.#said.take(label);
      this.#sayings++;
      await this.#place();
      this.#labels = labels;
    }
    const guard = await readGuard(store);
    const number = (await versionNumbers(store, dataset.name)).at(-1);
    const newest = number === this.#newest?.number ? this.#newest : await newestManifest(store, dataset.name);
    const isOther = newest?.id !== this.#newest?.id || newest?.number !== this.#newest?.number;
    if (!isOther && guard.objects === this.#guard.objects) return;
    this.#guard = guard;
    this.#newest = newest;
    this.#differs();
  }

  /** Heeds what was said of images. Where more was said or archived meanwhile, that is heeded too. */
  async #place(): Promise<void> {
    const { dataset, card, span } = this.#options;
    for (;;) {
      const [sayings, places] = [this.#sayings, this.#places];
      const report = { span, ranking: this.ranked, onGap: () => undefined };
      const placed = await placedImages(places, report, placementsOf(dataset, this.#said, card));
      if (sayings !== this.#sayings || places.frontier !== this.#frontier) continue;
      this.#placed = placed;
      this.#retractions = this.#said.retractions(selectedClasses(dataset.select, card), card);
      this.#differs();
      return;
    }
  }

  #differs(): void {
    this.#curve = null;
    this.#generation++;
  }

  get #places(): RowPlaces {
    return { archive: this.#archive, stream: this.#options.stream, frontier: this.#frontier };
  }

  /** Whether images are left out for what they are like: then what another K gives is not looked up. */
  get leavesOut(): boolean {
    return this.dataset.select.near !== undefined || this.#guard.by !== null;
  }

  /** The version that the overlap is with */
  get newest(): Manifest | null {
    return this.#newest;
  }

  get frontier(): Frontier {
    return this.#frontier;
  }

  /** Archived records that are ranked */
  get records(): number {
    const { coverage } = this.#state;
    return this.#frontier.reduce((sum, chain) => sum + coverage.endIn(chain) - chain.origin, 0);
  }

  /** Event times that are chosen from */
  get span(): Span {
    return this.#options.span;
  }

  get labels(): LabelFrontier {
    return this.#labels;
  }

  /** K of each class as declared, as of what is archived, [L] */
  get quota(): Int32Array {
    return quota(this.dataset.select.k, this.ranked, this.#state.coverage.records);
  }

  get archive(): ArchiveReader {
    return this.#archive;
  }

  /** How a class is ranked now. Where images are left out, their hashes are read from the archive. */
  async standing(classIndex: number): Promise<StandingRows> {
    const generation = this.#generation;
    const all = this.#state.topk.rows(classIndex);
    const { rows } = this.#list(classIndex, all);
    const placed = this.#placed?.of(classIndex) ?? null;
    let retracted = 0;
    for (let row = 0; row < all.count; row++) {
      const isPlaced = placed?.has(all.identity, 4 * row) === true;
      if (!isPlaced && this.#retractions.has(classIndex, all.identity, 4 * row)) retracted++;
    }
    const leftOut = await this.#leftOut.get(`${generation}/${classIndex}`, 1, () => this.#leftOutOf(rows));
    const out = new Set(leftOut.map(({ at }) => at));
    const places = Int32Array.from({ length: rows.count }, (_, at) => at).filter((at) => !out.has(at));
    return { generation, rows, placed, retracted, leftOut, places };
  }

  /** Those of its rows that nobody has taken out, behind those that people placed. */
  #list(classIndex: number, all: TopkRows): { readonly rows: TopkRows } {
    const rules = { retractions: this.#retractions, placed: this.#placed };
    return standingList(all, classIndex, rules, Number.POSITIVE_INFINITY);
  }

  /** What of one class is left out. Near duplicates within a whole version depend on its other classes: of these a version alone tells. */
  async #leftOutOf(rows: TopkRows): Promise<StandingRows["leftOut"]> {
    const { near } = this.dataset.select;
    const own = near?.within === "version" ? {} : { near };
    const rules = leaveOutOf(own, this.#guard, this.#places, null);
    if (rules === null) return [];
    const [hashes] = await rules.hashes([rows]);
    const out = new LeftOutRows([hashes!], rules, [rows.count]);
    const found: { at: number; why: LeftOut }[] = [];
    for (let at = 0; at < rows.count; at++) {
      if (out.isOut(0, at)) found.push({ at, why: out.found[0]!.at(-1)! });
      else out.take(0, at);
    }
    return found;
  }

  /** Hashes of a class's standing rows, to tell what is like what. */
  async hashesOf(rows: TopkRows): Promise<RowHashes> {
    return (await rowHashes(this.#places, [rows]))[0]!;
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
      listOf: (index) => this.#list(index, this.#state.topk.rows(index)).rows,
      keys: classKeys(select, card, byNumber),
      before: newest === null ? null : await versionRows(store, newest, byNumber),
      p: select.p,
      temperature: select.temperature ?? card.temperature,
      k: select.k,
      quota: this.quota,
    });
  }
}

/** What a ranking may take, bytes. Throws E_MEMORY where that is too much, E_SELECTION. */
export function heldBytes({
  dataset,
  card,
  depth,
  maxStateBytes,
}: Pick<HeldOptions, "dataset" | "card" | "depth" | "maxStateBytes">): number {
  const ranked = ranking(dataset.select, card);
  const k = depth ?? quota(dataset.select.k, ranked, "most");
  const stateBytes = estimateTopkBytes({ classes: ranked.labels.length, k, reserve: reserveOf(dataset) });
  if (stateBytes <= maxStateBytes) return stateBytes;
  throw new SluiceError(
    "E_MEMORY",
    `Expected a ranking that fits into ${maxStateBytes} bytes of memory, found an estimate of ${stateBytes} bytes. Ask for a smaller K: \`sluice whatif\` on a larger machine answers for this one.`,
    { stateBytes, memoryBytes: maxStateBytes },
  );
}
