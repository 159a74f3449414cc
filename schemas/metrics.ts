import { STAGES } from "./stage-shares.js";

/** Labels, each with what bounds the number of its values. */
export const METRIC_LABELS = {
  partition: "the images topic's partitions that this process scores",
  outcome:
    "`scored`, `copied`, `quarantined`, `lost`; of requests `ok`, `absent`, `exists`, `failed`; of scheduled commands `ok`, `failed`; of notices `taken`, `passedOver`, `refused`",
  status: "HTTP's statuses that the gateway answers with",
  stage: STAGES.map((stage) => `\`${stage}\``).join(", "),
  code: "the [error codes](errors.md)",
  dataset: "the declared datasets",
  schedule: "the schedules of sluice.yaml",
  op: "the store's operations: `get`, `range`, `put`, `create`, `stream`, `list`, `head`, `delete`",
  loop: "the parts of a process: `score`, `topk`, `publish`, `compact`, `produce`, `watch`, `gateway`, `rebuild`, `serve`; `work` of all other commands",
  phase: "what long work says that it does: `append`, `score`, `cut`, `publish`, `compact`, `train` and the like",
  version: "one, this release's",
  command: "one, the running command",
} as const;
export type MetricLabel = keyof typeof METRIC_LABELS;

export interface MetricDeclaration {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** What a value of it counts: seconds, bytes, records … */
  readonly unit: string;
  readonly labels: readonly MetricLabel[];
  /** Of a histogram: upper bounds, in its unit */
  readonly buckets?: readonly number[];
}

const QUICK_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const SLOW_S = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800] as const;

/** Every metric of Sluice's own, by name. Counters end with `_total`, times are seconds, sizes bytes. */
export const METRICS = {
  sluice_build: {
    type: "gauge",
    help: "1, with the release and the command as labels",
    unit: "constant",
    labels: ["version", "command"],
  },
  sluice_ready: {
    type: "gauge",
    help: "1 where the loop has reached its services and has taken up what it goes on from, 0 where not yet or not now",
    unit: "yes or no",
    labels: ["loop"],
  },
  sluice_healthy: {
    type: "gauge",
    help: "1 where every loop of the process has turned lately or has nothing to do",
    unit: "yes or no",
    labels: [],
  },
  sluice_images_total: {
    type: "counter",
    help: "Records archived since the process began, by what became of them; their sum is what came in",
    unit: "records",
    labels: ["partition", "outcome"],
  },
  sluice_quarantined_total: {
    type: "counter",
    help: "Quarantined records by the reason's code",
    unit: "records",
    labels: ["code"],
  },
  sluice_image_bytes_total: {
    type: "counter",
    help: "Bytes of the images whose rows were archived",
    unit: "bytes",
    labels: [],
  },
  sluice_kept_bytes_total: {
    type: "counter",
    help: "Bytes of those images that the store keeps, each time a row is archived",
    unit: "bytes",
    labels: [],
  },
  sluice_appended_total: { type: "counter", help: "Records put into the log", unit: "records", labels: [] },
  sluice_notices_total: {
    type: "counter",
    help: "What buckets have told of, by what became of it",
    unit: "notices",
    labels: ["outcome"],
  },
  sluice_gateway_seconds: {
    type: "histogram",
    help: "Requests that sent images, from their first byte to the answer",
    unit: "seconds",
    labels: ["status"],
    buckets: QUICK_S,
  },
  sluice_segments_total: {
    type: "counter",
    help: "Segments archived",
    unit: "segments",
    labels: ["partition"],
  },
  sluice_watermark_timestamp_seconds: {
    type: "gauge",
    help: "Greatest event time archived",
    unit: "seconds since the epoch",
    labels: ["partition"],
  },
  sluice_archived_offset: {
    type: "gauge",
    help: "Offset up to which the partition is archived",
    unit: "offset",
    labels: ["partition"],
  },
  sluice_lag_records: {
    type: "gauge",
    help: "Offsets in the log that are not archived yet",
    unit: "records",
    labels: ["partition"],
  },
  sluice_lag_seconds: {
    type: "gauge",
    help: "How long the first of them has waited, as far as this process has seen; 0 where none waits",
    unit: "seconds",
    labels: ["partition"],
  },
  sluice_stage_items: { type: "gauge", help: "Items that the stage works on now", unit: "items", labels: ["stage"] },
  sluice_stage_places: {
    type: "gauge",
    help: "Items that the stage can work on at once",
    unit: "items",
    labels: ["stage"],
  },
  sluice_stage_busy_seconds_total: {
    type: "counter",
    help: "Time at work, as a share of the stage's places: its rate is how busy decoders (`decode`) and engine (`score`) are, 0 to 1",
    unit: "seconds",
    labels: ["stage"],
  },
  sluice_stage_backpressure_seconds_total: {
    type: "counter",
    help: "Time in which all places of the stage were taken, so that what comes before it waited",
    unit: "seconds",
    labels: ["stage"],
  },
  sluice_idle_seconds_total: {
    type: "counter",
    help: "Time in which no stage had anything to do",
    unit: "seconds",
    labels: [],
  },
  sluice_in_flight_bytes: {
    type: "gauge",
    help: "Bytes of images between reading and their segment",
    unit: "bytes",
    labels: [],
  },
  sluice_in_flight_max_bytes: {
    type: "gauge",
    help: "What they may come to (`maxInFlightBytes`)",
    unit: "bytes",
    labels: [],
  },
  sluice_in_flight_wait_seconds_total: {
    type: "counter",
    help: "Time in which reading waited for room in it",
    unit: "seconds",
    labels: [],
  },
  sluice_batch_seconds: {
    type: "histogram",
    help: "From a batch of images being given to the engine to its scores",
    unit: "seconds",
    labels: [],
    buckets: QUICK_S,
  },
  sluice_batch_images_total: {
    type: "counter",
    help: "Images that the engine was given",
    unit: "images",
    labels: [],
  },
  sluice_class_fill_ratio: {
    type: "gauge",
    help: "Share of the classes that have K images, as of the newest checkpoint of this process",
    unit: "ratio, 0 to 1",
    labels: ["dataset"],
  },
  sluice_classes: {
    type: "gauge",
    help: "Classes that this process keeps",
    unit: "classes",
    labels: ["dataset"],
  },
  sluice_checkpoint_timestamp_seconds: {
    type: "gauge",
    help: "When the newest checkpoint was written",
    unit: "seconds since the epoch",
    labels: ["dataset"],
  },
  sluice_checkpoint_seconds: {
    type: "histogram",
    help: "Writing a checkpoint",
    unit: "seconds",
    labels: ["dataset"],
    buckets: QUICK_S,
  },
  sluice_thresholds_timestamp_seconds: {
    type: "gauge",
    help: "When the newest thresholds that this scorer or publisher has read were published",
    unit: "seconds since the epoch",
    labels: [],
  },
  sluice_versions_total: {
    type: "counter",
    help: "Versions that this process has published",
    unit: "versions",
    labels: ["dataset"],
  },
  sluice_version_number: {
    type: "gauge",
    help: "Number of the newest version that this process has cut or found",
    unit: "number",
    labels: ["dataset"],
  },
  sluice_version_rows: { type: "gauge", help: "Its rows", unit: "rows", labels: ["dataset"] },
  sluice_drift_psi: {
    type: "gauge",
    help: "How the classes' shares differ from before the version before: population stability index beyond chance, of datasets with `drift`",
    unit: "index",
    labels: ["dataset"],
  },
  sluice_drift_ks: {
    type: "gauge",
    help: "How the best classes' probabilities differ from before: distance of Kolmogorov and Smirnov",
    unit: "distance",
    labels: ["dataset"],
  },
  sluice_version_timestamp_seconds: {
    type: "gauge",
    help: "When this process last published one",
    unit: "seconds since the epoch",
    labels: ["dataset"],
  },
  sluice_versions_refused_total: {
    type: "counter",
    help: "Versions that were due and that nobody could want",
    unit: "versions",
    labels: ["dataset", "code"],
  },
  sluice_cut_seconds: {
    type: "histogram",
    help: "From the frontier to a version's rows",
    unit: "seconds",
    labels: ["dataset"],
    buckets: SLOW_S,
  },
  sluice_publish_seconds: {
    type: "histogram",
    help: "From the rows to the manifest",
    unit: "seconds",
    labels: ["dataset"],
    buckets: SLOW_S,
  },
  sluice_compacted_segments_total: {
    type: "counter",
    help: "Segments written into runs",
    unit: "segments",
    labels: [],
  },
  sluice_compaction_timestamp_seconds: {
    type: "gauge",
    help: "When this process last looked at what is to be compacted",
    unit: "seconds since the epoch",
    labels: [],
  },
  sluice_scheduled_runs_total: {
    type: "counter",
    help: "Scheduled commands that this process ran to their end",
    unit: "runs",
    labels: ["schedule", "outcome"],
  },
  sluice_scheduled_run_seconds: {
    type: "histogram",
    help: "How long scheduled commands took",
    unit: "seconds",
    labels: ["schedule"],
    buckets: SLOW_S,
  },
  sluice_scheduled_run_timestamp_seconds: {
    type: "gauge",
    help: "When this process last ran a scheduled command that succeeded",
    unit: "seconds since the epoch",
    labels: ["schedule"],
  },
  sluice_store_request_seconds: {
    type: "histogram",
    help: "Requests of the object store; of streams and listings up to their end",
    unit: "seconds",
    labels: ["op", "outcome"],
    buckets: QUICK_S,
  },
  sluice_kafka_retries_total: {
    type: "counter",
    help: "Waits for a broker that was away, or that closed the connection",
    unit: "waits",
    labels: [],
  },
  sluice_restarts_total: {
    type: "counter",
    help: "Times that a loop began anew from what is written down, by what had failed",
    unit: "restarts",
    labels: ["loop", "code"],
  },
  sluice_warnings_total: {
    type: "counter",
    help: "Warnings said, by code; those without one as `none`",
    unit: "warnings",
    labels: ["code"],
  },
  sluice_phase_done: {
    type: "gauge",
    help: "Items dealt with in the phase that long work is in",
    unit: "items",
    labels: ["phase"],
  },
  sluice_phase_goal: {
    type: "gauge",
    help: "Items that the phase has, where that is known",
    unit: "items",
    labels: ["phase"],
  },
} as const satisfies Readonly<Record<string, MetricDeclaration>>;
export type MetricName = keyof typeof METRICS;
