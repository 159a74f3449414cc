import { OutputSigns, SIGN_CODE, type SeenSign } from "../../operators/image/output-signs.js";
import { SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { teacherDigest } from "../../schemas/model-card.js";
import type { Observer } from "../../schemas/observed.js";
import type { OnProgress } from "../../schemas/progress.js";
import type { Segment } from "../../schemas/segment.js";
import type { FlowControl } from "../flow/flow-control.js";
import { IngestProgress, type RunCounts } from "../flow/ingest-progress.js";
import { keepRunning } from "../flow/keep-running.js";
import type { ImageScoring } from "../open/open-scoring.js";
import { openScoreIndex } from "../flow/score-index.js";
import { TopicDownstream } from "./topic-downstream.js";
import type { TopicLog } from "./topic-log.js";
import { StageRecord } from "../flow/stage-record.js";
import type { Workspace } from "../open/workspace.js";
import { scoreTopic } from "../flow/score.js";
import { assertTopics } from "./topics.js";

export interface RunScoreOptions {
  /** Its local tables are this process's alone */
  readonly workspace: Workspace;
  readonly log: TopicLog;
  readonly kafka: KafkaConfig;
  readonly scoring: ImageScoring;
  /** What is asked of this process while it runs; absent: nothing can be */
  readonly control?: FlowControl | undefined;
  readonly onSegment?: (segment: Segment) => void;
  readonly onProgress?: OnProgress;
  readonly observer?: Observer | undefined;
  readonly onWarning: (message: string, code?: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

export interface RunScoreResult {
  readonly counts: RunCounts;
  /** Segments sent again since nobody had committed them */
  readonly forwardedAgain: number;
}

/** images topic -> score -> archive -> candidates topic, as a member of the scorers' group, until stopped. */
export async function runScore(options: RunScoreOptions): Promise<RunScoreResult> {
  const { workspace, log, kafka, scoring, onSegment, onWarning, observer, signal, nowMs } = options;
  const { config, store } = workspace;
  const { card } = scoring.teacher;
  const teacher = teacherDigest(card);
  await assertTopics(log, config, kafka, ["images", "candidates", "thresholds", "quarantine"]);
  const progress = new IngestProgress(options.onProgress);
  let forwardedAgain = 0;
  const downstream = new TopicDownstream({
    ...config,
    ...kafka,
    ...options,
    store,
    teacher,
    card,
    onSentAgain: () => forwardedAgain++,
  });
  assertMessagesFit(downstream.greatestBytes(config.archive.segmentRecords), kafka);
  const index = openScoreIndex(workspace, card);
  const stages = new StageRecord(workspace.folder, nowMs, onWarning);
  const signs = new OutputSigns(card);
  const sayAll = (seen: readonly SeenSign[]): void => {
    for (const { message } of seen) onWarning(message, SIGN_CODE);
  };
  const work = async (): Promise<void> => {
    await scoreTopic({
      ...scoring,
      control: options.control,
      config,
      log,
      store,
      index,
      card,
      until: null,
      retry: (one, given) => keepRunning(one, { signal: given, onWarning, nowMs, loop: "score", observer }),
      downstream: (frontier) => {
        progress.onStart(frontier, downstream);
        return Promise.resolve(downstream);
      },
      onSegment: (segment) => {
        progress.onSegment(segment);
        sayAll(signs.onSegment(segment));
        onSegment?.(segment);
        stages.note(progress);
      },
      stages: stages.clock,
      observer,
      onWarning,
      signal,
      nowMs,
    });
  };
  try {
    await keepRunning(work, { signal, onWarning, nowMs, loop: "score", observer });
  } finally {
    sayAll(signs.end());
    await stages.end(progress);
  }
  return { counts: progress.counts, forwardedAgain };
}

/** Said at the start, not when the first full segment comes. */
function assertMessagesFit(bytes: number, { maxMessageBytes }: KafkaConfig): void {
  if (bytes <= maxMessageBytes) return;
  throw new SluiceError(
    "E_CONFIG",
    `Expected a segment's candidates to fit into one message of ${maxMessageBytes} bytes a class shard, found that they may come to ${bytes}. ` +
      "Raise kafka.maxMessageBytes or kafka.shards, or lower archive.segmentRecords.",
  );
}
