import { setTimeout as sleep } from "node:timers/promises";
import type { ArchivedSegment, CutVersion, Observed, ScoringGauges, StageTotals } from "../../schemas/observed.js";
import type { ProgressEvent } from "../../schemas/progress.js";
import { STAGES } from "../../schemas/stage-shares.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import { awaitedLater, orNull } from "../../schemas/errors.js";
import type { Health } from "./health.js";
import { LagClock } from "./lag-clock.js";
import type { MetricsRegistry } from "./registry.js";
import type { StoreRequest } from "./metered-store.js";

const OUTCOMES = ["scored", "copied", "quarantined", "lost"] as const;
/** The log is asked for its ends at most this often, ms */
const LOOK_MS = 1000;
/** How long a scrape waits for them, ms: a log that is away is asked for minutes */
const PATIENCE_MS = 1000;

interface GivenPartition {
  archived: number;
  readonly lag: LagClock | null;
}

export interface RunMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly health: Health;
  /** The running command, such as `ingest` or `run all` */
  readonly command: string;
  readonly nowMs: () => number;
}

/** Turns what pipelines tell into metrics. */
export class RunMetrics {
  readonly #registry: MetricsRegistry;
  readonly #health: Health;
  readonly #nowMs: () => number;
  readonly #partitions = new Map<number, GivenPartition>();
  #gauges: ScoringGauges | null = null;
  #counted: StageTotals | null = null;
  #waitedMs = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #phase: string | null = null;
  /** The log's ends, while they are asked for */
  #asking: Promise<readonly number[] | null> | null = null;

  constructor({ registry, health, command, nowMs }: RunMetricsOptions) {
    this.#registry = registry;
    this.#health = health;
    this.#nowMs = nowMs;
    registry.set("sluice_build", { version: CODE_VERSION, command }, 1);
  }

  watch(gauges: ScoringGauges): void {
    this.#gauges = gauges;
    // Scoring that began anew counts its waits anew.
    this.#waitedMs = 0;
  }

  take(event: Observed): void {
    const registry = this.#registry;
    switch (event.event) {
      case "partition.given":
        this.#given(event.partition, event.end, event.follows);
        break;
      case "partition.left":
        this.#left(event.partition);
        break;
      case "loop.away":
        registry.add("sluice_restarts_total", { loop: event.loop, code: event.code });
        break;
      case "loop.turned":
        if (event.loop === "compact") registry.set("sluice_compaction_timestamp_seconds", {}, this.#nowMs() / 1000);
        break;
      case "log.appended":
        registry.add("sluice_appended_total", {}, event.records);
        break;
      case "notices.read":
        for (const outcome of ["taken", "passedOver", "refused"] as const)
          registry.add("sluice_notices_total", { outcome }, event[outcome]);
        break;
      case "images.sent":
        registry.time("sluice_gateway_seconds", { status: event.status }, event.tookMs / 1000);
        break;
      case "log.retried":
        registry.add("sluice_kafka_retries_total", {});
        break;
      case "batch.scored":
        registry.time("sluice_batch_seconds", {}, event.tookMs / 1000);
        registry.add("sluice_batch_images_total", {}, event.images);
        break;
      case "segment.archived":
        this.#segment(event);
        break;
      case "checkpoint.written":
        registry.set("sluice_checkpoint_timestamp_seconds", { dataset: event.dataset }, this.#nowMs() / 1000);
        registry.time("sluice_checkpoint_seconds", { dataset: event.dataset }, event.tookMs / 1000);
        registry.set("sluice_classes", { dataset: event.dataset }, event.classes);
        registry.set(
          "sluice_class_fill_ratio",
          { dataset: event.dataset },
          event.classes === 0 ? 0 : event.full / event.classes,
        );
        break;
      case "thresholds.read":
        registry.set("sluice_thresholds_timestamp_seconds", {}, event.atMs / 1000);
        break;
      case "version.cut":
        this.#version(event);
        break;
      case "version.refused":
        registry.add("sluice_versions_refused_total", { dataset: event.dataset, code: event.code });
        break;
      case "archive.compacted":
        registry.add("sluice_compacted_segments_total", {}, event.segments);
        break;
      case "schedule.followed":
        // From the start on, so that the first failure is an increase.
        for (const outcome of ["ok", "failed"])
          registry.add("sluice_scheduled_runs_total", { schedule: event.schedule, outcome }, 0);
        break;
      case "schedule.ended": {
        const { schedule, exitCode } = event;
        registry.add("sluice_scheduled_runs_total", { schedule, outcome: exitCode === 0 ? "ok" : "failed" });
        registry.time("sluice_scheduled_run_seconds", { schedule }, event.tookMs / 1000);
        if (exitCode === 0) registry.set("sluice_scheduled_run_timestamp_seconds", { schedule }, this.#nowMs() / 1000);
        break;
      }
      case "loop.ready":
      case "loop.idle":
      case "span.ended":
        break;
    }
  }

  onStoreRequest({ op, outcome, seconds }: StoreRequest): void {
    this.#registry.time("sluice_store_request_seconds", { op, outcome }, seconds);
  }

  onWarning(code: string | undefined): void {
    this.#registry.add("sluice_warnings_total", { code: code ?? "none" });
  }

  onProgress({ phase, done, total }: ProgressEvent): void {
    if (this.#phase !== null && this.#phase !== phase) {
      this.#registry.forget("sluice_phase_done", { phase: this.#phase });
      this.#registry.forget("sluice_phase_goal", { phase: this.#phase });
    }
    this.#phase = phase;
    this.#registry.set("sluice_phase_done", { phase }, done);
    if (total !== null) this.#registry.set("sluice_phase_goal", { phase }, total);
  }

  /** What Prometheus is answered. */
  async text(): Promise<string> {
    await this.#look();
    return this.#registry.text();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #given(partition: number, end: number, follows: boolean): void {
    this.#partitions.set(partition, { archived: end, lag: follows ? new LagClock() : null });
    // From the start on, so that the first one that is lost is an increase.
    for (const outcome of OUTCOMES) this.#registry.add("sluice_images_total", { partition, outcome }, 0);
    this.#registry.set("sluice_archived_offset", { partition }, end);
    this.#lookedMs = Number.NEGATIVE_INFINITY;
  }

  #left(partition: number): void {
    this.#partitions.delete(partition);
    for (const name of ["sluice_archived_offset", "sluice_lag_records", "sluice_lag_seconds"] as const)
      this.#registry.forget(name, { partition });
  }

  #segment({ partition, end, counts, quarantined, sizeBytes, keptBytes, watermarkMs }: ArchivedSegment): void {
    const registry = this.#registry;
    for (const outcome of OUTCOMES) registry.add("sluice_images_total", { partition, outcome }, counts[outcome]);
    for (const [code, count] of Object.entries(quarantined)) registry.add("sluice_quarantined_total", { code }, count);
    registry.add("sluice_segments_total", { partition });
    registry.add("sluice_image_bytes_total", {}, sizeBytes);
    registry.add("sluice_kept_bytes_total", {}, keptBytes);
    registry.set("sluice_archived_offset", { partition }, end);
    if (watermarkMs !== null) registry.set("sluice_watermark_timestamp_seconds", { partition }, watermarkMs / 1000);
    const given = this.#partitions.get(partition);
    if (given !== undefined) given.archived = end;
  }

  #version({ dataset, number, rows, drift, outcome, cutMs, publishMs }: CutVersion): void {
    const registry = this.#registry;
    registry.time("sluice_cut_seconds", { dataset }, cutMs / 1000);
    registry.time("sluice_publish_seconds", { dataset }, publishMs / 1000);
    registry.set("sluice_version_number", { dataset }, number);
    registry.set("sluice_version_rows", { dataset }, rows);
    if (drift !== null) {
      registry.set("sluice_drift_psi", { dataset }, Math.max(0, drift.psi - drift.psiByChance));
      registry.set("sluice_drift_ks", { dataset }, drift.ks);
    }
    if (outcome !== "created") return;
    registry.add("sluice_versions_total", { dataset });
    registry.set("sluice_version_timestamp_seconds", { dataset }, this.#nowMs() / 1000);
  }

  async #look(): Promise<void> {
    for (const { loop, ready } of this.#health.loops()) this.#registry.set("sluice_ready", { loop }, ready ? 1 : 0);
    this.#registry.set("sluice_healthy", {}, this.#health.isHealthy ? 1 : 0);
    if (this.#gauges === null) return;
    this.#count(this.#gauges.stages());
    const { sizeBytes, maxBytes, waitedMs } = this.#gauges.inFlight();
    this.#registry.set("sluice_in_flight_bytes", {}, sizeBytes);
    this.#registry.set("sluice_in_flight_max_bytes", {}, maxBytes);
    this.#registry.add("sluice_in_flight_wait_seconds_total", {}, Math.max(0, waitedMs - this.#waitedMs) / 1000);
    this.#waitedMs = waitedMs;
    await this.#lag(this.#gauges);
  }

  #count(totals: StageTotals): void {
    const before = this.#counted;
    const grown = (of: (one: StageTotals) => number): number =>
      Math.max(0, of(totals) - (before === null ? 0 : of(before))) / 1000;
    for (const stage of STAGES) {
      this.#registry.set("sluice_stage_items", { stage }, totals.atWork[stage]);
      this.#registry.set("sluice_stage_places", { stage }, totals.places[stage]);
      this.#registry.add(
        "sluice_stage_busy_seconds_total",
        { stage },
        grown(({ busyMs }) => busyMs[stage]),
      );
      this.#registry.add(
        "sluice_stage_backpressure_seconds_total",
        { stage },
        grown(({ fullMs }) => fullMs[stage]),
      );
    }
    this.#registry.add(
      "sluice_idle_seconds_total",
      {},
      grown(({ waitingMs }) => waitingMs),
    );
    this.#counted = totals;
  }

  /** null of a log that is away, or takes longer than a scrape can wait. */
  async #ends(gauges: ScoringGauges): Promise<readonly number[] | null> {
    this.#asking ??= awaitedLater(
      (async () => {
        try {
          return await orNull(gauges.logEnds(), "E_LOG_IO");
        } finally {
          this.#asking = null;
        }
      })(),
    );
    return Promise.race([this.#asking, sleep(PATIENCE_MS, null)]);
  }

  async #lag(gauges: ScoringGauges): Promise<void> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    // Of a log that is away the last figures stand; `sluice_ready` and `sluice_kafka_retries_total` tell of it.
    const ends = await this.#ends(gauges);
    for (const [partition, { archived, lag }] of this.#partitions) {
      const end = ends?.[partition];
      if (lag === null) continue;
      if (end !== undefined) {
        lag.look(end, nowMs);
        this.#registry.set("sluice_lag_records", { partition }, Math.max(0, end - archived));
      }
      this.#registry.set("sluice_lag_seconds", { partition }, lag.behindS(archived, nowMs));
    }
  }
}
