import type { Decoder } from "../connectors/decoder/decoder.js";
import type { Engine, TeacherFiles } from "../connectors/engine/engine.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { ImageOpener, Source } from "../connectors/source/source.js";
import type { Frontier } from "../schemas/frontier.js";
import type { OnProgress } from "../schemas/progress.js";
import type { EngineInfo } from "../schemas/segment.js";
import { teacherDigest } from "../schemas/model-card.js";
import { produce } from "./produce.js";
import { cutAndPublish, type PublishedCut } from "./runtime/cut-and-publish.js";
import { IngestProgress, type RunCounts } from "./runtime/ingest-progress.js";
import { openScoreIndex } from "./runtime/score-index.js";
import type { Workspace } from "./runtime/workspace.js";
import { scoreTopic } from "./score.js";

export interface IngestOptions {
  readonly workspace: Workspace;
  readonly teacher: TeacherFiles;
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly opener: ImageOpener;
  readonly sheets: SheetRenderer | null;
  /** Absent: only what the log already has is scored */
  readonly source?: Source;
  /** Make a version of each dataset when everything is scored */
  readonly publish: boolean;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (message: string) => void;
  /** Graceful: reading stops, what was read is scored and archived, nothing is published */
  readonly stop: AbortSignal;
  readonly nowMs?: () => number;
}

export interface IngestResult {
  /** Of this run */
  readonly counts: RunCounts;
  readonly stopped: boolean;
  readonly frontier: Frontier;
  readonly engine: EngineInfo;
  readonly published: readonly PublishedCut[];
}

/** source -> log -> decode -> score -> archive -> candidates -> topk -> cut -> training set */
export async function ingest(options: IngestOptions): Promise<IngestResult> {
  const { workspace, teacher, engine, source, stop, nowMs = Date.now } = options;
  const { config, log, store } = workspace;
  const topic = config.stream;
  await log.ensureTopic(topic, config.partitions);
  const partitions = (await log.ends(topic)).length;
  const index = openScoreIndex(workspace, teacherDigest(teacher.card));
  const progress = new IngestProgress(options.onProgress);

  // Whatever fails first ends the rest: scorers must not wait for records that a failed producer will never append.
  const failure = new AbortController();
  const halt = AbortSignal.any([stop, failure.signal]);
  const fail = (error: unknown): void => {
    failure.abort(error);
  };
  const produced =
    source === undefined
      ? Promise.resolve(0)
      : produce({
          log,
          source,
          topic,
          partitions,
          stop: halt,
          onAppended: (records) => {
            progress.onAppended(records);
          },
        });
  produced.catch(fail);
  const until = produced.then(async () => {
    const ends = (await log.ends(topic)).map(({ end }) => end);
    progress.onEnds(ends);
    return ends;
  });
  until.catch(() => undefined);

  const scored = scoreTopic({
    ...options,
    config,
    log,
    store,
    index,
    card: teacher.card,
    until,
    signal: halt,
    nowMs,
    onStart: (frontier) => {
      progress.onStart(frontier);
    },
    onSegment: (segment, datasets) => {
      progress.onSegment(segment, datasets);
    },
  });
  scored.catch(fail);
  await Promise.allSettled([produced, scored]);
  await produced;
  const frontier = await scored;

  const published: PublishedCut[] = [];
  if (options.publish && !stop.aborted) {
    for (const dataset of config.datasets) {
      published.push(
        await cutAndPublish({
          ...options,
          store,
          dataset,
          card: teacher.card,
          stream: topic,
          frontier,
          trigger: "end",
          automatic: true,
          signal: stop,
        }),
      );
    }
  }
  return { counts: progress.counts, stopped: stop.aborted, frontier, engine: engine.info, published };
}
