import { judge, neverFires, triggerOf, type Judgement, type TriggerFacts } from "../../operators/select/triggers.js";
import { quota } from "../../operators/select/quota.js";
import { ranking } from "../../operators/select/ranking.js";
import { newestSpan, paneOf, panesOf, windowsEnding } from "../../operators/select/windows.js";
import type { Store } from "../../connectors/store/store.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { RecordCounts, SegmentHeader } from "../../schemas/segment.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { listVersions } from "../versions/versions.js";
import { PaneClock } from "./pane-clock.js";

/** What of the archive triggers are judged by. */
export interface CutFacts {
  readonly datasets: readonly Dataset[];
  readonly coverageOf: (dataset: Dataset) => { readonly records: RecordCounts; readonly lastMs: number | null };
  /** The panes that have rows, ascending */
  readonly panesOf: (dataset: Dataset) => readonly number[];
  /** Distinct images of each class in a span, at least up to K, as far as is known; empty where nothing is, [L] */
  readonly countsOf: (dataset: Dataset, span: Span) => Iterable<number>;
}

/** A version that is due. */
export interface DueCut {
  readonly dataset: Dataset;
  readonly span: Span;
  /** Why, for the manifest */
  readonly trigger: string;
  /** The newest version of the span, null for none */
  readonly same: Manifest | null;
}

interface Schedule {
  readonly dataset: Dataset;
  /** Newest version of each span */
  readonly versions: Map<string, Manifest>;
  sinceMs: number;
  /** Records in at the last version */
  recordsThen: number;
  /** Of windows that ended up to here it is known whether they are to have a corrected version */
  correctedMs: number;
  /** Windows that are to have one and have not, by their keys */
  readonly uncorrected: Map<string, Span>;
  /** By pane: when the first window ended that has it and has a version, ms */
  readonly cutPanes: Map<number, number>;
  /** How far event time had come when this was opened, ms: holds until a segment tells more */
  readonly openedMs: number | null;
  /** Images that came since this was opened, for a window that had ended and had its version */
  late: number;
}

/** Decides when versions of the datasets are cut. What is cut comes from the archive. */
export class CutScheduler {
  readonly #card: ModelCard;
  readonly #facts: CutFacts;
  readonly #clock: PaneClock;
  readonly #schedules: readonly Schedule[];

  private constructor(card: ModelCard, facts: CutFacts, clock: PaneClock, schedules: readonly Schedule[]) {
    this.#card = card;
    this.#facts = facts;
    this.#clock = clock;
    this.#schedules = schedules;
  }

  /** Learns from the published manifests what has been cut so far. */
  static async open(options: {
    readonly store: Store;
    readonly card: ModelCard;
    readonly facts: CutFacts;
    readonly frontier: Frontier;
    readonly nowMs: number;
    /** Those to schedule; by default all that `facts` knows */
    readonly datasets?: readonly Dataset[];
  }): Promise<CutScheduler> {
    const { store, card, facts, frontier, nowMs, datasets = facts.datasets } = options;
    const teacher = teacherDigest(card);
    const schedules: Schedule[] = [];
    for (const dataset of datasets) {
      const schedule: Schedule = {
        dataset,
        versions: new Map(),
        cutPanes: new Map(),
        late: 0,
        openedMs: facts.coverageOf(dataset).lastMs,
        sinceMs: nowMs,
        recordsThen: 0,
        uncorrected: new Map(),
        correctedMs: (facts.coverageOf(dataset).lastMs ?? 0) - 2 * dataset.allowedLatenessMs,
      };
      for await (const manifest of listVersions(store, dataset.name, undefined, "all")) {
        if (manifest.teacher.digest === teacher) remember(schedule, manifest);
      }
      schedules.push(schedule);
    }
    const partitions = frontier.map(({ partition }) => partition);
    return new CutScheduler(card, facts, new PaneClock(datasets, partitions, nowMs), schedules);
  }

  /** Counts a segment's images that come too late for a version; to be called before the segment is observed. */
  countLate({ eventTimeMs, count }: Pick<ScoredBatch, "eventTimeMs" | "count">, nowMs: number): void {
    for (const schedule of this.#schedules) {
      const { dataset, cutPanes, openedMs } = schedule;
      const watermarkMs = this.#clock.watermarkMs(dataset, nowMs) ?? openedMs;
      if (watermarkMs === null || cutPanes.size === 0) continue;
      for (let row = 0; row < count; row++) {
        const pane = paneOf(dataset.window, Number(eventTimeMs[row]!));
        if (pane !== null && (cutPanes.get(pane) ?? Number.POSITIVE_INFINITY) <= watermarkMs) schedule.late++;
      }
    }
  }

  /** The datasets that images came too late for since this was opened, and how many. */
  late(): { readonly dataset: string; readonly images: number }[] {
    return this.#schedules.flatMap(({ dataset, late }) =>
      late === 0 ? [] : [{ dataset: dataset.name, images: late }],
    );
  }

  /** The newest version of the last window that has ended and has one; null for none. */
  newestEnded(dataset: Dataset, watermarkMs: number): Manifest | null {
    const versions = this.#schedules.find((one) => one.dataset.name === dataset.name)?.versions.values() ?? [];
    let newest: Manifest | null = null;
    for (const version of versions) {
      const { endMs } = version.span;
      if (endMs !== null && endMs <= watermarkMs && endMs > (newest?.span.endMs ?? Number.NEGATIVE_INFINITY))
        newest = version;
    }
    return newest;
  }

  /** An archived segment tells how far its partition's event time has come. */
  observe(header: Pick<SegmentHeader, "partition" | "watermarkMs">, nowMs: number): void {
    this.#clock.observe(header, nowMs);
  }

  /** What a published version changes for the next. */
  published(dataset: Dataset, manifest: Manifest): void {
    const schedule = this.#schedules.find((one) => one.dataset.name === dataset.name);
    if (schedule === undefined) return;
    remember(schedule, manifest);
    schedule.uncorrected.delete(spanKey(manifest.span));
  }

  /** See `PaneClock` */
  closedMs(nowMs: number): number {
    return this.#clock.closedMs(nowMs);
  }

  /** The versions that are due now. */
  due(nowMs: number): DueCut[] {
    return this.#schedules.flatMap((schedule) => this.#dueOf(schedule, nowMs));
  }

  /** At the end of a source that ends: each window that has ended; of a global window what there is. */
  dueAtEnd(): DueCut[] {
    return this.#schedules.flatMap((schedule) => {
      const { dataset } = schedule;
      if (dataset.window.kind === "global") return [this.#cut(schedule, newestSpan(dataset.window, 0), "end")];
      const watermarkMs = this.#facts.coverageOf(dataset).lastMs;
      return watermarkMs === null ? [] : this.#ended(schedule, watermarkMs);
    });
  }

  /** When a process that follows is stopped: of a global window that nothing else ever cuts, what there is. */
  dueAtStop(): DueCut[] {
    return this.#schedules.flatMap((schedule) => {
      const { dataset } = schedule;
      if (!neverFires(dataset) || this.#facts.coverageOf(dataset).lastMs === null) return [];
      return [this.#cut(schedule, newestSpan(dataset.window, 0), "stop")];
    });
  }

  /** Each dataset's trigger, whether it has fired, and what is missing. */
  judge(nowMs: number): { readonly dataset: Dataset; readonly judgement: Judgement }[] {
    return this.#schedules.map((schedule) => ({
      dataset: schedule.dataset,
      judgement: this.#judge(schedule, this.#factsOf(schedule, nowMs)),
    }));
  }

  #dueOf(schedule: Schedule, nowMs: number): DueCut[] {
    const { dataset } = schedule;
    const facts = this.#factsOf(schedule, nowMs);
    const due: DueCut[] = [];
    const { fired, why } = this.#judge(schedule, facts);
    const { lastMs } = this.#facts.coverageOf(dataset);
    if (fired && lastMs !== null) {
      const ended = facts.watermarkMs === null ? [] : this.#ended(schedule, facts.watermarkMs);
      // A condition on a window that still runs (filled, cron …) cuts it as far as it has come.
      if (ended.length > 0) due.push(...ended.map((cut) => ({ ...cut, trigger: why })));
      else due.push(this.#cut(schedule, newestSpan(dataset.window, lastMs), why));
    }
    due.push(...this.#corrections(schedule, facts.watermarkMs));
    return due;
  }

  #judge({ dataset, versions, sinceMs }: Schedule, facts: TriggerFacts): Judgement {
    const judgement = judge(triggerOf(dataset), facts);
    const waitedMs = facts.nowMs - sinceMs;
    if (!judgement.fired || versions.size === 0 || waitedMs >= dataset.leastIntervalMs) return judgement;
    const why = `${judgement.why}; the last version is ${waitedMs} of ${dataset.leastIntervalMs} ms old (leastIntervalMs)`;
    return { fired: false, why };
  }

  /** Windows that have ended, have images, and have no version. */
  #ended(schedule: Schedule, watermarkMs: number): DueCut[] {
    return this.#windows(schedule, Number.NEGATIVE_INFINITY, watermarkMs)
      .filter((span) => !schedule.versions.has(spanKey(span)))
      .map((span) => this.#cut(schedule, span, "window end"));
  }

  /** Windows whose lateness has run out: what came late gives a corrected version, nothing gives the same. */
  #corrections(schedule: Schedule, watermarkMs: number | null): DueCut[] {
    const { allowedLatenessMs } = schedule.dataset;
    if (allowedLatenessMs === 0 || watermarkMs === null) return [];
    const untilMs = watermarkMs - allowedLatenessMs;
    for (const span of this.#windows(schedule, schedule.correctedMs, untilMs))
      if (schedule.versions.has(spanKey(span))) schedule.uncorrected.set(spanKey(span), span);
    if (untilMs > schedule.correctedMs) schedule.correctedMs = untilMs;
    // Each until it is published: what stops that today is tried again.
    return [...schedule.uncorrected.values()].map((span) => this.#cut(schedule, span, "late images"));
  }

  #windows({ dataset }: Schedule, afterMs: number, untilMs: number): Span[] {
    return [...windowsEnding(dataset.window, this.#facts.panesOf(dataset), { afterMs, untilMs })];
  }

  #cut(schedule: Schedule, span: Span, trigger: string): DueCut {
    return { dataset: schedule.dataset, span, trigger, same: schedule.versions.get(spanKey(span)) ?? null };
  }

  #factsOf(schedule: Schedule, nowMs: number): TriggerFacts {
    const { dataset, sinceMs, recordsThen } = schedule;
    const { records, lastMs } = this.#facts.coverageOf(dataset);
    const watermarkMs = this.#clock.watermarkMs(dataset, nowMs);
    const span = lastMs === null ? null : newestSpan(dataset.window, lastMs);
    const newest = span === null ? undefined : schedule.versions.get(spanKey(span));
    const ranked = ranking(dataset.select, this.#card);
    const { labels } = ranked;
    const images = records.scored + records.copied;
    const wanted = quota(dataset.select.k, ranked, records);
    const known = span === null ? [] : [...this.#facts.countsOf(dataset, span)];
    const counts = labels.map((_, index) => known[index] ?? 0);
    const short = counts.flatMap((count, index) => (count < wanted[index]! ? [{ count, index }] : []));
    return {
      nowMs,
      sinceMs,
      // A version may have been cut of more than is seen here: of replays, or by a publisher that is ahead.
      imagesSince: Math.max(0, records.in - recordsThen),
      images,
      imagesThen: recordsThen,
      fullThen: newest === undefined ? -1 : newest.classes.filter(({ starving }) => !starving).length,
      full: counts.length - short.length,
      starving: short.sort((a, b) => a.count - b.count).map(({ index }) => labels[index]!),
      classes: counts.length,
      endedWindows: watermarkMs === null ? 0 : this.#ended(schedule, watermarkMs).length,
      watermarkMs,
      nextEndMs: span?.endMs ?? null,
    };
  }
}

/** What people are told of a dataset whose trigger never fires. `otherwise`: when it is published all the same, if ever. */
export function neverFiresText({ name, trigger }: Dataset, otherwise: string): string {
  const waits = trigger === undefined ? "has no trigger" : "has a trigger that waits for the end of a window";
  return (
    `dataset "${name}" ${waits}, and its window is global, which never ends: ${otherwise}. ` +
    `Say when it is to be published: \`sluice datasets set ${name} 'trigger={elapsedMs: 3600000}'\`.`
  );
}

function remember(schedule: Schedule, manifest: Manifest): void {
  const { window } = schedule.dataset;
  const { endMs } = manifest.span;
  if (window.kind !== "global" && endMs !== null) {
    const { first, end } = panesOf(window, manifest.span);
    for (let pane = first; pane < end; pane++) {
      schedule.cutPanes.set(pane, Math.min(endMs, schedule.cutPanes.get(pane) ?? endMs));
    }
  }
  schedule.versions.set(spanKey(manifest.span), manifest);
  schedule.sinceMs = Date.parse(manifest.provenance.createdAt);
  schedule.recordsThen = Math.max(schedule.recordsThen, manifest.totals.records.in);
}

function spanKey({ startMs, endMs }: Span): string {
  return `${startMs}..${endMs}`;
}
