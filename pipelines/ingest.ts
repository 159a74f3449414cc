import { randomUUID } from "node:crypto";
import type { Allowance } from "../schemas/allowance.js";
import type { Decoder } from "../connectors/decoder/decoder.js";
import type { Engine, TeacherFiles } from "../connectors/engine/engine.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { ImageOpener, Source } from "../connectors/source/source.js";
import { OutputSigns, SIGN_CODE, type SeenSign } from "../operators/image/output-signs.js";
import type { Frontier } from "../schemas/frontier.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import type { EngineInfo } from "../schemas/segment.js";
import type { StageShares } from "../schemas/stage-shares.js";
import { neverFires } from "../operators/select/triggers.js";
import { produce } from "./produce.js";
import type { PublishedCut } from "./versions/cut-and-publish.js";
import { CutScheduler, neverFiresText, type DueCut } from "./flow/cut-scheduler.js";
import { DuePublisher, type Refusal } from "./versions/due-publisher.js";
import { LogCut } from "./flow/log-cut.js";
import { keepCompacted } from "./flow/keep-compacted.js";
import { IngestProgress, type RunCounts } from "./flow/ingest-progress.js";
import { keepRunning } from "./flow/keep-running.js";
import { LiveDatasets } from "./flow/live-datasets.js";
import { openScoreIndex } from "./flow/score-index.js";
import { sleepUntil } from "./flow/sleep-until.js";
import { Upkeep } from "./flow/upkeep.js";
import { StageRecord } from "./flow/stage-record.js";
import type { Workspace } from "./open/workspace.js";
import { scoreTopic } from "./flow/score.js";
import { awaitedLater } from "../schemas/errors.js";

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
  /** What is published although nobody could want it; by default nothing is */
  readonly allow?: Allowance | undefined;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (message: string, code?: string) => void;
  /** Graceful: reading stops, what was read is scored and archived, nothing is published */
  readonly stop: AbortSignal;
  readonly nowMs?: () => number;
  /** Another one at each call; by default random */
  readonly newId?: () => string;
}

export interface IngestResult {
  /** Of this run */
  readonly counts: RunCounts;
  readonly stopped: boolean;
  readonly frontier: Frontier;
  readonly engine: EngineInfo;
  readonly published: readonly PublishedCut[];
  /** Versions that were due at the end and that nobody could want */
  readonly refused: readonly Refusal[];
  /** Images that came after their window had ended and had its version */
  readonly late: readonly { readonly dataset: string; readonly images: number }[];
  /** How busy each stage of scoring was */
  readonly stages: StageShares;
}

interface Live {
  readonly datasets: LiveDatasets;
  readonly scheduler: CutScheduler;
  readonly publisher: DuePublisher;
}

/** source -> log -> decode -> score -> archive -> candidates -> topk -> cut -> training set */
export async function ingest(options: IngestOptions): Promise<IngestResult> {
  const { workspace, teacher, engine, source, stop, follow, nowMs = Date.now, newId = randomUUID } = options;
  const { config, log, store } = workspace;
  const { card } = teacher;
  const topic = config.stream;
  await log.ensureTopic(topic, config.partitions);
  const partitions = (await log.ends(topic)).length;
  const progress = new IngestProgress(options.onProgress);
  const published: PublishedCut[] = [];
  if (follow !== undefined && options.publish) {
    for (const dataset of config.datasets.filter(neverFires))
      options.onWarning?.(neverFiresText(dataset, "nothing is published before the stop"));
  }
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

  const started: { live?: Live } = {};
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
      : null;
  // Its failure is the producer's, which ends this run.
  if (until !== null) void awaitedLater(until);

  const upkeep = upkeepOf(options, halt, nowMs);
  const signs = new OutputSigns(card);
  const sayAll = (seen: readonly SeenSign[]): void => {
    for (const { message } of seen) options.onWarning?.(message, SIGN_CODE);
  };
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
      // Of a run that ends, what fails for another reason than another partition's failure is the caller's to begin again.
      retry: (work, given) =>
        keepRunning(work, {
          signal: given,
          onWarning: options.onWarning ?? (() => undefined),
          nowMs,
          ...(follow === undefined ? { passes: ({ code }) => code === "E_FLOW_FAILED" } : {}),
        }),
      signal: halt,
      nowMs,
      stages: stages.clock,
      downstream: async (frontier) => {
        const { onWarning } = options;
        const warning = onWarning === undefined ? {} : { onWarning };
        const teacher = teacherDigest(card);
        const datasets = await LiveDatasets.open(
          { store, datasets: config.datasets, teacher, stream: topic, card, ...config.checkpoint, ...warning },
          frontier,
        );
        progress.onStart(frontier, datasets);
        const scheduler = await CutScheduler.open({ store, card, facts: datasets, frontier, nowMs: nowMs() });
        datasets.closedMs = () => scheduler.closedMs(nowMs());
        const publisher = new DuePublisher({
          ...options,
          store,
          card,
          stream: topic,
          scheduler,
          nowMs,
          newId,
          onRefused: ({ error }) => {
            // A run that ends gives them back instead.
            if (follow !== undefined) options.onWarning?.(error.message, error.code);
          },
        });
        started.live = { datasets, scheduler, publisher };
        return datasets;
      },
      onSegment: (segment) => {
        started.live?.scheduler.countLate(segment.batch, nowMs());
        started.live?.scheduler.observe(segment.header, nowMs());
        progress.onSegment(segment);
        sayAll(signs.onSegment(segment));
        stages.note(progress);
        for (const one of upkeep) one.note();
      },
    }).finally(async () => {
      shares = await stages.end(progress);
      for (const one of upkeep) await one.end();
    }),
  );
  const judged = guard(
    (async () => {
      while (follow !== undefined && options.publish !== false && !halt.aborted) {
        const { live } = started;
        const due = live?.scheduler.due(nowMs()) ?? [];
        if (live !== undefined && due.length > 0) {
          const made = await live.publisher.publish(due, await live.datasets.checkpoint(), stop);
          published.push(...made.published);
        }
        await sleepUntil(follow.judgeMs, halt);
      }
    })(),
  );
  await Promise.allSettled([produced, scored, judged]);
  await produced;
  await judged;
  const frontier = await scored;
  sayAll(signs.end());
  const { live } = started;
  const refused: Refusal[] = [];
  const publishLast = async ({ publisher }: Live, due: readonly DueCut[], signal?: AbortSignal): Promise<void> => {
    const made = await publisher.publish(due, frontier, signal);
    published.push(...made.published);
    refused.push(...made.refused);
  };
  const { counts } = progress;
  const publishes = options.publish === "if-scored" ? counts.scored + counts.copied > 0 : options.publish;
  if (publishes && live !== undefined) {
    if (follow === undefined && !stop.aborted) await publishLast(live, live.scheduler.dueAtEnd(), stop);
    // Stopping is what it waited for: the stop does not stop it.
    if (follow !== undefined) await publishLast(live, live.scheduler.dueAtStop());
  }
  return {
    counts,
    stopped: stop.aborted,
    frontier,
    engine: engine.info,
    published,
    refused,
    late: live?.scheduler.late() ?? [],
    stages: shares,
  };
}

/** Segments archived between two cuts of the log */
const CUT_SEGMENTS = 32;

/** What is looked after beside scoring: the archive is compacted, and the log cut. */
function upkeepOf(
  { workspace, teacher, onWarning = () => undefined }: IngestOptions,
  signal: AbortSignal,
  nowMs: () => number,
): Upkeep[] {
  const { config, store, embedded } = workspace;
  const archive = { store, teacher: teacherDigest(teacher.card), stream: config.stream, nowMs };
  const compacting = keepCompacted({ ...archive, onWarning, signal });
  if (embedded === null) return [compacting];
  const cut = new LogCut({ ...archive, log: embedded, retention: config.log });
  const how = { everySegments: CUT_SEGMENTS, failure: "The log is cut later", onWarning, signal };
  const cutting = new Upkeep(how, async () => {
    await cut.cut();
  });
  return [compacting, cutting];
}
