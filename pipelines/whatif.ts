import type { Store } from "../connectors/store/store.js";
import { selectedClasses } from "../operators/select/class-map.js";
import { SpanState } from "../operators/topk/dataset-state.js";
import { quota } from "../operators/select/quota.js";
import { ranking } from "../operators/select/ranking.js";
import { rowTest, type ConditionName } from "../operators/select/row-conditions.js";
import { isIn } from "../operators/select/windows.js";
import { estimateTopkBytes } from "../operators/topk/topk-size.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import { leaveOutOf, placementsOf } from "../operators/state/cut.js";
import { readGuard } from "../operators/version/guard-sets.js";
import { otherScores } from "../operators/version/other-scores.js";
import { placedImages } from "../operators/version/placed-images.js";
import { chooseRows } from "../operators/version/choose-rows.js";
import { labelFrontier, labelledImages } from "../operators/archive/image-labels.js";
import { newestManifest } from "../operators/version/manifests.js";
import { mostK, reserveOf, type Dataset, type Selection, type Span } from "../schemas/dataset.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import type { Frontier } from "../schemas/frontier.js";
import { teacherDigest, type ModelCard } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import type { Segment } from "../schemas/segment.js";
import { pinned, type PinClock } from "./flow/pinned.js";
import { answerOf, type SettingAnswer } from "./whatif/whatif-answer.js";
import { classKeys, versionRows } from "./whatif/whatif-overlap.js";

export interface WhatifOptions {
  readonly store: Store;
  /** Where the settings do not say otherwise */
  readonly dataset: Dataset;
  readonly card: ModelCard;
  readonly stream: string;
  readonly frontier: Frontier;
  readonly span: Span;
  /** Every combination is answered: K varies fastest, then P, then the temperature */
  readonly settings: WhatifSettings;
  readonly maxStateBytes: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Of the pin that holds what is read; by default the machine's */
  readonly clock?: PinClock;
}

export interface WhatifSettings {
  readonly k: readonly Selection["k"][];
  readonly p: readonly number[];
  /** null: the dataset's, or the card's */
  readonly temperature: readonly (number | null)[];
}

/** How many archived rows of the window a condition of `select.where` leaves out, the first that a row does not meet. */
export interface LeftOutByCondition {
  readonly condition: ConditionName;
  readonly rows: number;
}

export interface Whatif {
  /** What the overlap is with; null where nothing is published */
  readonly newest: { readonly number: number; readonly id: string } | null;
  readonly segments: number;
  /** The same for all settings; none where nothing is asked of rows */
  readonly where: readonly LeftOutByCondition[];
  readonly answers: readonly (SettingAnswer | RefusedSetting)[];
}

interface Setting {
  readonly select: Selection;
  readonly k: Selection["k"];
}

/** A setting that the archive has too little to answer exactly. */
export interface RefusedSetting {
  readonly k: Selection["k"];
  readonly p: number;
  readonly temperature: number;
  readonly refused: string;
}

/** One state that answers for every K, which differ only in how far down its lists they reach. */
interface Group {
  readonly settings: readonly Setting[];
  readonly dataset: Dataset;
  readonly from: "top-M" | "full softmax";
  state: SpanState | null;
  refused: string | null;
}

/**
 * What versions would be under other parameters, from the archive alone: read once for all settings, and again only where a choice
 * across classes needs longer lists. Nothing but a pin is written. Throws E_SELECTION for parameters that contradict each other, E_MEMORY
 * before anything is read, E_CHAIN_GAP, E_SEGMENT_CORRUPT, E_CANCELLED.
 */
export async function whatif(options: WhatifOptions): Promise<Whatif> {
  const archive = { teacher: teacherDigest(options.card), stream: options.stream };
  return pinned(options.store, archive, "whatif", options.clock ?? {}, () => whatifPinned(options));
}

async function whatifPinned(options: WhatifOptions): Promise<Whatif> {
  const { store, dataset, card, settings } = options;
  const temperatures = settings.temperature.length === 0 ? [null] : settings.temperature;
  const groups = temperatures.flatMap((temperature) => settings.p.map((p) => groupOf(options, p, temperature)));
  assertMemory(groups, options);
  const leavesOut = rowTest(dataset.select.where);
  const leftOut = new Map<ConditionName, number>();
  let segments = 0;
  await eachSegment(options, (segment) => {
    segments++;
    for (let row = 0; leavesOut !== null && row < segment.batch.count; row++) {
      if (!isIn(options.span, Number(segment.batch.eventTimeMs[row]!))) continue;
      const condition = leavesOut(segment.batch, row);
      if (condition !== null) leftOut.set(condition, (leftOut.get(condition) ?? 0) + 1);
    }
    for (const group of groups) take(group, segment);
  });
  const images = await labelledImages(store, options.stream, await labelFrontier(store, options.stream));
  const guard = await readGuard(store);
  const archive = new ArchiveReader(store, { teacher: teacherDigest(card), stream: options.stream });
  const newest = await newestManifest(store, dataset.name);
  const byNumber = newest?.teacher.digest === teacherDigest(card);
  const before = newest === null ? null : await versionRows(store, newest, byNumber);
  const answers: (SettingAnswer | RefusedSetting)[] = [];
  for (const group of groups) {
    const temperature = group.dataset.select.temperature ?? card.temperature;
    for (const { select, k } of group.settings) {
      if (group.state === null) {
        answers.push({ k, p: select.p, temperature, refused: group.refused ?? "" });
        continue;
      }
      const ranked = ranking(select, card);
      const wanted = quota(k, ranked, group.state.coverage.records);
      const deeper = async (depth: Int32Array): Promise<SpanState> => {
        assertDepth(depth, options);
        const state = new SpanState(stateOptions(options, group.dataset), options.span, undefined, depth);
        await eachSegment(options, (segment) => state.apply(segment));
        return state;
      };
      const retractions = images.retractions(selectedClasses(select, card), card);
      const places = { archive, frontier: options.frontier, stream: options.stream };
      const others = await otherScores(store, options.stream, select.where);
      const leaveOut = leaveOutOf(select, guard, places, others);
      const said = placementsOf({ ...dataset, select }, images, card);
      const placed = await placedImages(places, { span: options.span, ranking: ranked }, said);
      const chosen = await chooseRows(group.state, {
        policy: select,
        k: wanted,
        retractions,
        placed,
        deeper,
        leaveOut,
      });
      const keys = classKeys(select, card, byNumber);
      answers.push(answerOf(chosen, { k, wanted, select, temperature, ranked, keys, from: group.from, before }));
    }
    group.state = null;
  }
  const where = [...leftOut].map(([condition, rows]) => ({ condition, rows }));
  return { newest: newest === null ? null : { number: newest.number, id: newest.id }, segments, where, answers };
}

function groupOf(options: WhatifOptions, p: number, temperature: number | null): Group {
  const { dataset, card, settings, span } = options;
  const base: Selection = { ...dataset.select, p, ...(temperature === null ? {} : { temperature }) };
  const list = settings.k.map((k) => ({ k, select: { ...base, k } }));
  // Refused here rather than after the archive is read.
  for (const { select, k } of list) quota(k, ranking(select, card), "most");
  const deepest = list.reduce((most, one) => (mostK(one.k) > mostK(most.k) ? one : most));
  const grouped: Dataset = { ...dataset, select: { ...base, k: mostK(deepest.k) } };
  if (!base.balanced) grouped.select = { ...grouped.select, repeat: false };
  const state = new SpanState(stateOptions(options, grouped), span);
  return { settings: list, dataset: grouped, from: ranking(base, card).needs, state, refused: null };
}

function stateOptions({ card, stream }: WhatifOptions, dataset: Dataset) {
  return { dataset, card, stream, teacher: teacherDigest(card) };
}

/** A setting that an image cannot be ranked under is refused; the others go on. */
function take(group: Group, segment: Segment): void {
  try {
    group.state?.apply(segment);
  } catch (error) {
    if (!isSluiceError(error, "E_SELECTION")) throw error;
    group.state = null;
    group.refused = error.message;
  }
}

async function eachSegment(options: WhatifOptions, take: (segment: Segment) => void): Promise<void> {
  const { store, card, stream, frontier, onProgress, signal } = options;
  const counts = { scored: 0, copied: 0, quarantined: 0, kept: 0 };
  let done = 0;
  const archive = new ArchiveReader(store, { teacher: teacherDigest(card), stream });
  for (const { end, ...place } of frontier) {
    for await (const segment of archive.segments(place, place.origin, end)) {
      if (signal?.aborted === true) {
        throw new SluiceError("E_CANCELLED", "Stopped on request; nothing was written.", {});
      }
      take(segment);
      onProgress?.({ phase: "read", done: ++done, total: null, ...counts });
    }
  }
}

function assertMemory(groups: readonly Group[], options: WhatifOptions): void {
  const stateBytes = groups.reduce((sum, { dataset }) => {
    const ranked = ranking(dataset.select, options.card);
    const k = quota(dataset.select.k, ranked, "most");
    return sum + estimateTopkBytes({ classes: ranked.labels.length, k, reserve: reserveOf(dataset) });
  }, 0);
  refuseMemory(stateBytes, options, "Ask for fewer values of P and temperature at once, or a smaller K");
}

function assertDepth(depth: Int32Array, options: WhatifOptions): void {
  const { dataset } = options;
  const stateBytes = estimateTopkBytes({ classes: depth.length, k: depth, reserve: reserveOf(dataset) });
  refuseMemory(stateBytes, options, "Choose a smaller K or P, or a floor");
}

function refuseMemory(stateBytes: number, { maxStateBytes }: WhatifOptions, advice: string): void {
  if (stateBytes <= maxStateBytes) return;
  throw new SluiceError(
    "E_MEMORY",
    `Expected states that fit into ${maxStateBytes} bytes of memory, found an estimate of ${stateBytes} bytes. ${advice}.`,
    { stateBytes, memoryBytes: maxStateBytes },
  );
}
