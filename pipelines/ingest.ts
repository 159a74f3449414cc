import { setTimeout as sleep } from "node:timers/promises";
import type { Decoder } from "../connectors/decoder/decoder.js";
import type { Engine, TeacherFiles } from "../connectors/engine/engine.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { ImageOpener, Source } from "../connectors/source/source.js";
import type { Frontier } from "../schemas/frontier.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import type { EngineInfo } from "../schemas/segment.js";
import type { StageShares } from "../schemas/stage-shares.js";
import { produce } from "./produce.js";
import { cutAndPublish, type PublishedCut } from "./runtime/cut-and-publish.js";
import { CutScheduler, type DueCut } from "./runtime/cut-scheduler.js";
import { IngestProgress, type RunCounts } from "./runtime/ingest-progress.js";
import { LiveDatasets } from "./runtime/live-datasets.js";
import { openScoreIndex } from "./runtime/score-index.js";
import { StageRecord } from "./runtime/stage-record.js";
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
  /**
   * Make the versions that are due: with a source that ends, when everything is scored (`if-scored`: and only where this run
   * has scored or copied anything); following, when triggers fire
   */
  readonly publish: boolean | "if-scored";
  /** Go on until stopped: look for new images in the source this often, and at the triggers */
  readonly follow?: { readonly rescanMs: number; readonly judgeMs: number };
  /** Asked before anything is published; throws where it must not be */
  readonly mayPublish?: () => Promise<void>;
  readonly onPublished?: (published: PublishedCut) => void;
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
  /** How busy each stage of scoring was */
  readonly stages: StageShares;
}

/** source -> log -> decode -> score -> archive -> candidates -> topk -> cut -> training set */
export async function ingest(options: IngestOptions): Promise<IngestResult> {
  const { workspace, teacher, engine, source, stop, follow, nowMs = Date.now } = options;
  const { config, log, store } = workspace;
  const { card } = teacher;
  const topic = config.stream;
  await log.ensureTopic(topic, config.partitions);
  const partitions = (await log.ends(topic)).length;
  const progress = new IngestProgress(options.onProgress);
  const published: PublishedCut[] = [];
  const stages = new StageRecord(workspace.folder, nowMs, options.onWarning);

  // Whatever fails first ends the rest: scorers must not wait for records that a failed producer will never append.
  const failure = new AbortController();
  const halt = AbortSignal.any([stop, failure.signal]);
  const guard = <T>(work: Promise<T>): Promise<T> => {
    work.catch((error: unknown) => {
      failure.abort(error);
    });
    return work;
  };

  const publishDue = async (due: readonly DueCut[], scheduler: CutScheduler, frontier: Frontier): Promise<void> => {
    for (const cut of due) {
      await options.mayPublish?.();
      const made = await cutAndPublish({
        ...options,
        ...cut,
        store,
        card,
        stream: topic,
        frontier,
        automatic: true,
        signal: stop,
      });
      scheduler.published(cut.dataset, made.manifest);
      published.push(made);
      options.onPublished?.(made);
    }
  };

  let followed: LiveDatasets | undefined;
  const started: { live?: { readonly datasets: LiveDatasets; readonly scheduler: CutScheduler } } = {};
  const produced = guard(
    (async () => {
      for (let before = 0; source !== undefined && !halt.aborted;) {
        before += await produce({
          log,
          source,
          topic,
          partitions,
          stop: halt,
          onAppended: (records) => {
            progress.onAppended(before + records);
          },
        });
        if (follow === undefined) break;
        await sleepUntil(follow.rescanMs, halt);
      }
    })(),
  );
  const until =
    follow === undefined
      ? produced.then(async () => {
          const ends = (await log.ends(topic)).map(({ end }) => end);
          progress.onEnds(ends);
          return ends;
        })
      : new Promise<never>(() => undefined);
  until.catch(() => undefined);

  let shares = stages.clock.shares();
  const scored = guard(
    scoreTopic({
      ...options,
      config,
      log,
      store,
      index: openScoreIndex(workspace, teacherDigest(card)),
      card,
      until,
      signal: halt,
      nowMs,
      stages: stages.clock,
      follow: async (frontier) => {
        const { onWarning } = options;
        const warning = onWarning === undefined ? {} : { onWarning };
        const teacher = teacherDigest(card);
        followed = await LiveDatasets.restore(
          { store, datasets: config.datasets, teacher, stream: topic, card, ...config.checkpoint, ...warning },
          frontier,
        );
        return followed;
      },
      onStart: async (frontier) => {
        const datasets = followed!;
        progress.onStart(frontier, datasets);
        const scheduler = await CutScheduler.open({ store, card, facts: datasets, frontier, nowMs: nowMs() });
        datasets.closedMs = () => scheduler.closedMs(nowMs());
        started.live = { datasets, scheduler };
      },
      onSegment: (segment) => {
        started.live?.scheduler.observe(segment.header, nowMs());
        progress.onSegment(segment);
        stages.note();
      },
    }).finally(async () => {
      shares = await stages.end();
    }),
  );
  const judged = guard(
    (async () => {
      while (follow !== undefined && options.publish !== false && !halt.aborted) {
        const { live } = started;
        const due = live?.scheduler.due(nowMs()) ?? [];
        if (live !== undefined && due.length > 0)
          await publishDue(due, live.scheduler, await live.datasets.checkpoint());
        await sleepUntil(follow.judgeMs, halt);
      }
    })(),
  );
  await Promise.allSettled([produced, scored, judged]);
  await produced;
  await judged;
  const frontier = await scored;
  const { live } = started;
  const { counts } = progress;
  const publishes = options.publish === "if-scored" ? counts.scored + counts.copied > 0 : options.publish;
  if (follow === undefined && publishes && !stop.aborted && live !== undefined) {
    await publishDue(live.scheduler.dueAtEnd(), live.scheduler, frontier);
  }
  return { counts, stopped: stop.aborted, frontier, engine: engine.info, published, stages: shares };
}

async function sleepUntil(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
