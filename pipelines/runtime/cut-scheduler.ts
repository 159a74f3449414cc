import { judge, type Judgement, type TriggerFacts } from "../../operators/pure/triggers.js";
import { quota } from "../../operators/pure/quota.js";
import { ranking } from "../../operators/pure/ranking.js";
import { Watermarks } from "../../operators/pure/watermarks.js";
import { newestSpan, panesOf, windowsEnding } from "../../operators/pure/windows.js";
import { datasetTopk } from "../../operators/pure/dataset-state.js";
import type { Store } from "../../connectors/store/store.js";
import type { Dataset, Span } from "../../schemas/dataset.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { SegmentHeader } from "../../schemas/segment.js";
import type { Trigger } from "../../schemas/trigger.js";
import { listVersions } from "../versions.js";
import type { LiveDatasets } from "./live-datasets.js";

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
  readonly watermarks: Watermarks;
  /** Newest version of each span */
  readonly versions: Map<string, Manifest>;
  sinceMs: number;
  /** Records in at the last version */
  recordsThen: number;
  /** Windows that ended up to here have had their corrected version */
  correctedMs: number;
}

/** Decides when versions of the live datasets are cut. It looks at what is live; what is cut comes from the archive. */
export class CutScheduler {
  readonly #card: ModelCard;
  readonly #live: LiveDatasets;
  readonly #schedules: readonly Schedule[];

  private constructor(card: ModelCard, live: LiveDatasets, schedules: readonly Schedule[]) {
    this.#card = card;
    this.#live = live;
    this.#schedules = schedules;
  }

  /** Learns from the published manifests what has been cut so far. */
  static async open(options: {
    readonly store: Store;
    readonly card: ModelCard;
    readonly live: LiveDatasets;
    readonly frontier: Frontier;
    readonly nowMs: number;
  }): Promise<CutScheduler> {
    const { store, card, live, frontier, nowMs } = options;
    const teacher = teacherDigest(card);
    const schedules: Schedule[] = [];
    for (const { dataset, state } of live.datasets) {
      const partitions = frontier.map(({ partition }) => partition);
      const schedule: Schedule = {
        dataset,
        watermarks: new Watermarks(partitions, dataset.idleAfterMs, nowMs),
        versions: new Map(),
        sinceMs: nowMs,
        recordsThen: 0,
        correctedMs: (state.coverage.value.lastMs ?? 0) - 2 * dataset.allowedLatenessMs,
      };
      for await (const manifest of listVersions(store, dataset.name)) {
        if (manifest.teacher.digest === teacher) remember(schedule, manifest);
      }
      schedules.push(schedule);
    }
    return new CutScheduler(card, live, schedules);
  }

  /** An archived segment tells how far its partition's event time has come. */
  observe({ partition, watermarkMs }: Pick<SegmentHeader, "partition" | "watermarkMs">, nowMs: number): void {
    for (const { watermarks } of this.#schedules) watermarks.observe(partition, watermarkMs, nowMs);
  }

  /** What a published version changes for the next. */
  published(dataset: Dataset, manifest: Manifest): void {
    const schedule = this.#schedules.find((one) => one.dataset.name === dataset.name);
    if (schedule !== undefined) remember(schedule, manifest);
  }

  /** Event time before which windows count as ended, less the lateness that each allows; for what may leave memory */
  closedMs(nowMs: number): number {
    const closed = this.#schedules.map(({ dataset, watermarks }) => {
      const watermarkMs = watermarks.currentMs(nowMs);
      return watermarkMs === null ? Number.NEGATIVE_INFINITY : watermarkMs - dataset.allowedLatenessMs;
    });
    return Math.min(...closed);
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
      const watermarkMs = this.#live.coverageOf(dataset).lastMs;
      return watermarkMs === null ? [] : this.#ended(schedule, watermarkMs);
    });
  }

  /** Each dataset's trigger, whether it has fired, and what is missing. */
  judge(nowMs: number): { readonly dataset: Dataset; readonly judgement: Judgement }[] {
    return this.#schedules.map((schedule) => ({
      dataset: schedule.dataset,
      judgement: judge(triggerOf(schedule.dataset), this.#facts(schedule, nowMs)),
    }));
  }

  #dueOf(schedule: Schedule, nowMs: number): DueCut[] {
    const { dataset } = schedule;
    const facts = this.#facts(schedule, nowMs);
    const due: DueCut[] = [];
    const { fired, why } = judge(triggerOf(dataset), facts);
    const { lastMs } = this.#live.coverageOf(dataset);
    if (fired && lastMs !== null) {
      const ended = facts.watermarkMs === null ? [] : this.#ended(schedule, facts.watermarkMs);
      // A condition on a window that still runs (filled, cron …) cuts it as far as it has come.
      if (ended.length > 0) due.push(...ended.map((cut) => ({ ...cut, trigger: why })));
      else due.push(this.#cut(schedule, newestSpan(dataset.window, lastMs), why));
    }
    due.push(...this.#corrections(schedule, facts.watermarkMs));
    return due;
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
    const spans = this.#windows(schedule, schedule.correctedMs, untilMs);
    if (untilMs > schedule.correctedMs) schedule.correctedMs = untilMs;
    return spans
      .filter((span) => schedule.versions.has(spanKey(span)))
      .map((span) => this.#cut(schedule, span, "late images"));
  }

  #windows({ dataset }: Schedule, afterMs: number, untilMs: number): Span[] {
    return [...windowsEnding(dataset.window, this.#live.panesOf(dataset), { afterMs, untilMs })];
  }

  #cut(schedule: Schedule, span: Span, trigger: string): DueCut {
    return { dataset: schedule.dataset, span, trigger, same: schedule.versions.get(spanKey(span)) ?? null };
  }

  #facts(schedule: Schedule, nowMs: number): TriggerFacts {
    const { dataset, watermarks, sinceMs, recordsThen } = schedule;
    const { records, lastMs } = this.#live.coverageOf(dataset);
    const watermarkMs = watermarks.currentMs(nowMs);
    const span = lastMs === null ? null : newestSpan(dataset.window, lastMs);
    const { labels } = ranking(dataset.select, this.#card);
    const images = records.scored + records.copied;
    const wanted = quota(dataset.select.k, labels, records.scored);
    const counts = this.#counts(dataset, span, labels.length);
    const short = counts.flatMap((count, index) => (count < wanted[index]! ? [{ count, index }] : []));
    return {
      nowMs,
      sinceMs,
      imagesSince: records.in - recordsThen,
      images,
      full: counts.length - short.length,
      starving: short.sort((a, b) => a.count - b.count).map(({ index }) => labels[index]!),
      classes: counts.length,
      endedWindows: watermarkMs === null ? 0 : this.#ended(schedule, watermarkMs).length,
      watermarkMs,
      nextEndMs: span?.endMs ?? null,
    };
  }

  /** Images by class of the window that runs, from the panes in memory. */
  #counts(dataset: Dataset, span: Span | null, classCount: number): number[] {
    const none = Array.from({ length: classCount }, () => 0);
    const state = this.#live.datasets.find((one) => one.dataset.name === dataset.name)?.state;
    if (state === undefined || span === null) return none;
    const { first, end } = panesOf(dataset.window, span);
    const panes = state.resident.filter((pane) => pane >= first && pane < end);
    const [only] = panes;
    if (only === undefined) return none;
    if (panes.length === 1) return [...state.stateOf(only)!.counts()];
    const merged = datasetTopk({ dataset, card: this.#card, teacher: "", stream: "" }).restore();
    for (const pane of panes) merged.merge(state.stateOf(pane)!);
    return [...merged.counts()];
  }
}

function triggerOf(dataset: Dataset): Trigger {
  return dataset.trigger ?? { windowEnd: true };
}

function remember(schedule: Schedule, manifest: Manifest): void {
  schedule.versions.set(spanKey(manifest.span), manifest);
  schedule.sinceMs = Date.parse(manifest.provenance.createdAt);
  schedule.recordsThen = Math.max(schedule.recordsThen, manifest.totals.records.in);
}

function spanKey({ startMs, endMs }: Span): string {
  return `${startMs}..${endMs}`;
}
