import type { Drift } from "./drift.js";
import type { ErrorCode } from "./errors.js";
import type { RecordCounts } from "./segment.js";
import type { Stage } from "./stage-shares.js";
import type { TraceContext } from "./trace.js";

/** The loops that a process may have in it; `work` is what other commands do. */
export const LOOPS = [
  "score",
  "topk",
  "publish",
  "compact",
  "produce",
  "watch",
  "gateway",
  "rebuild",
  "serve",
  "work",
] as const;
export type Loop = (typeof LOOPS)[number];

export interface ArchivedSegment {
  readonly event: "segment.archived";
  readonly teacher: string;
  readonly partition: number;
  readonly origin: number;
  readonly start: number;
  readonly end: number;
  readonly counts: RecordCounts;
  /** Quarantined records by code */
  readonly quarantined: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Bytes of the segment's images, and of those of them that the store keeps */
  readonly sizeBytes: number;
  readonly keptBytes: number;
  readonly watermarkMs: number | null;
}

export interface CutVersion {
  readonly event: "version.cut";
  readonly dataset: string;
  readonly number: number;
  readonly id: string;
  readonly outcome: "created" | "unchanged" | "exists";
  readonly rows: number;
  readonly drift: Pick<Drift, "psi" | "psiByChance" | "ks"> | null;
  /** From the frontier to the rows, and from them to the manifest */
  readonly cutMs: number;
  readonly publishMs: number;
}

export interface WrittenCheckpoint {
  readonly event: "checkpoint.written";
  readonly dataset: string;
  readonly shard: number;
  /** Records that it covers */
  readonly records: number;
  /** Classes of the newest pane that this shard keeps, and those of them that have K */
  readonly classes: number;
  readonly full: number;
  readonly tookMs: number;
}

/** A step of a traced image's way: `produce`, the trace's first, then `score`, `rank` and `publish`. */
export interface EndedSpan {
  readonly event: "span.ended";
  readonly name: "produce" | "score" | "rank" | "publish";
  readonly trace: TraceContext;
  readonly parent: TraceContext | null;
  readonly startMs: number;
  readonly endMs: number;
  /** Why the image came no further */
  readonly failure?: string | undefined;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

/** What a pipeline tells of its work as it goes. Names are those of the log's records. */
export type Observed =
  /** The loop has reached its services, and has taken up what it goes on from */
  | { readonly event: "loop.ready"; readonly loop: Loop }
  /** It is at work, or has looked and found nothing to do */
  | { readonly event: "loop.turned"; readonly loop: Loop }
  /** It has nothing to do until it is given something: a worker without a shard */
  | { readonly event: "loop.idle"; readonly loop: Loop }
  /** It begins anew after something that may pass */
  | { readonly event: "loop.away"; readonly loop: Loop; readonly code: string; readonly waitMs: number }
  /** A chain was taken up at `end`, or is another process's or done. `follows`: it goes on to wherever the log ends */
  | { readonly event: "partition.given"; readonly partition: number; readonly end: number; readonly follows: boolean }
  | { readonly event: "partition.left"; readonly partition: number }
  | { readonly event: "log.appended"; readonly records: number }
  /** Of a bucket's notifications, what became of them */
  | { readonly event: "notices.read"; readonly taken: number; readonly passedOver: number; readonly refused: number }
  /** A request that sent images */
  | { readonly event: "images.sent"; readonly status: number; readonly taken: number; readonly tookMs: number }
  | { readonly event: "log.retried"; readonly doing: string; readonly failure: string }
  | { readonly event: "batch.scored"; readonly images: number; readonly tookMs: number }
  | ArchivedSegment
  | WrittenCheckpoint
  /** Thresholds of other processes, as of the newest that was read */
  | { readonly event: "thresholds.read"; readonly atMs: number }
  | CutVersion
  | { readonly event: "version.refused"; readonly dataset: string; readonly code: string }
  | EndedSpan
  | { readonly event: "archive.compacted"; readonly segments: number; readonly sizeBytes: number }
  /** From now on this process works by the schedule */
  | { readonly event: "schedule.followed"; readonly schedule: string }
  /** A scheduled command has ended */
  | { readonly event: "schedule.ended"; readonly schedule: string; readonly exitCode: number; readonly tookMs: number };

/** What may be looked at at any moment, of all partitions that a process scores. */
export interface ScoringGauges {
  readonly stages: () => StageTotals;
  readonly inFlight: () => { readonly sizeBytes: number; readonly maxBytes: number; readonly waitedMs: number };
  /** Where each partition of the log ends now */
  readonly logEnds: () => Promise<readonly number[]>;
}

export interface StageTotals {
  /** Since the process began, of each stage: the mean share of its places at work, summed over time; ms */
  readonly busyMs: Readonly<Record<Stage, number>>;
  /** The time in which all its places were taken, so that what comes before it waited; ms */
  readonly fullMs: Readonly<Record<Stage, number>>;
  /** The time in which no stage had anything to do, ms */
  readonly waitingMs: number;
  /** Items at work now, and how many the stage can work on at once */
  readonly atWork: Readonly<Record<Stage, number>>;
  readonly places: Readonly<Record<Stage, number>>;
  /** When a stage last began or ended an item, ms since the epoch */
  readonly movedMs: number;
}

/** Decides which images are traced, and names spans. */
export interface Tracer {
  /** A trace that begins with an image; null for those that are not traced: most */
  begin(): TraceContext | null;
  /** The next span of a trace */
  next(after: TraceContext): TraceContext;
}

/** Listens to a pipeline. None of it may throw or block. */
export interface Observer {
  /** Absent where nobody collects traces */
  readonly tracer?: Tracer | undefined;
  take(event: Observed): void;
  watch(gauges: ScoringGauges): void;
}
