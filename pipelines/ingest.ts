import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Allowance } from "../schemas/allowance.js";
import type { Decoder } from "../connectors/decoder/decoder.js";
import type { Engine, TeacherFiles } from "../connectors/engine/engine.js";
import type { SheetRenderer } from "../connectors/sheet/sheet.js";
import type { ImageOpener, Source } from "../connectors/source/source.js";
import { ErasedImages } from "../operators/archive/erased-images.js";
import type { ImageDecoding } from "../operators/image/decode.js";
import { OutputSigns, SIGN_CODE, type SeenSign } from "../operators/image/output-signs.js";
import type { Frontier } from "../schemas/frontier.js";
import { teacherDigest } from "../schemas/model-card.js";
import type { Observer } from "../schemas/observed.js";
import type { OnProgress } from "../schemas/progress.js";
import type { EngineInfo } from "../schemas/segment.js";
import type { StageShares } from "../schemas/stage-shares.js";
import { neverFires } from "../operators/select/triggers.js";
import { produce } from "./produce.js";
import type { PublishedCut } from "./versions/cut-and-publish.js";
import { CutScheduler, neverFiresText } from "./flow/cut-scheduler.js";
import { DuePublisher, type Refusal } from "./versions/due-publisher.js";
import { LogCut } from "./flow/log-cut.js";
import { keepCompacted } from "./flow/keep-compacted.js";
import { IngestProgress, type RunCounts } from "./flow/ingest-progress.js";
import { restMs } from "./flow/rest-between-looks.js";
import type { FlowControl } from "./flow/flow-control.js";
import { assertContinues } from "./flow/log-continues.js";
import { keepRunning } from "./flow/keep-running.js";
import { LiveDatasets } from "./flow/live-datasets.js";
import { openScoreIndex } from "./flow/score-index.js";
import { sleepUntil } from "./flow/sleep-until.js";
import { Upkeep } from "./flow/upkeep.js";
import { tellVersions } from "./kafka/tell-versions.js";
import { ToldQuarantine } from "./kafka/told-quarantine.js";
import { assertRights } from "./kafka/needed-rights.js";
import { assertTopics } from "./kafka/topics.js";
import { Together } from "./flow/together.js";
import { StageRecord } from "./flow/stage-record.js";
import type { Workspace } from "./open/workspace.js";
import { scoreTopic } from "./flow/score.js";

export interface IngestOptions {
  readonly workspace: Workspace;
  readonly teacher: TeacherFiles;
  readonly engine: Engine;
  readonly decoder: Decoder;
  /** Where images are decoded; by default by `decoder`, in this thread */
  readonly decoding?: ImageDecoding | undefined;
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
  readonly observer?: Observer | undefined;
  readonly onWarning?: (message: string, code?: string) => void;
  /** What is asked of this run meanwhile: to pause, to go on, to drain. Absent: nothing can be */
  readonly control?: FlowControl | undefined;
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
  /** Versions that were due, and that the stop kept from being made */
  readonly leftDue: number;
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
  const { workspace, stop, follow, nowMs = Date.now, newId = randomUUID } = options;
  await assertReadyLog(options);
  await assertContinues(workspace.log, workspace.store, workspace.config.stream);
  sayWhatNeverFires(options);
  const all = new Together(stop);
  const run: Run = {
    options: { ...options, nowMs, newId },
    progress: new IngestProgress(options.onProgress),
    stages: new StageRecord(workspace.folder, nowMs, options.onWarning),
    halt: all.signal,
    published: [],
    live: null,
  };
  const produced = all.begin(produceAll(run));
  // Following, the source ends where a drain is asked for: what the log has by then is scored.
  const endless = follow !== undefined && options.control === undefined;
  const scored = all.begin(scoreAll(run, endless ? null : produced));
  void all.begin(
    // A store that is away for a while ends scoring no more than publishing.
    keepRunning(() => judgeAll(run), {
      signal: all.signal,
      onWarning: options.onWarning ?? (() => undefined),
      nowMs,
      loop: "publish",
      observer: options.observer,
      passes: ({ retryable }) => retryable,
    }),
  );
  await all.ended();
  const { frontier, shares } = await scored;
  const { refused, leftDue } = await publishLast(run, frontier);
  return {
    counts: run.progress.counts,
    stopped: stop.aborted,
    frontier,
    engine: options.engine.info,
    published: run.published,
    refused,
    leftDue,
    late: run.live?.scheduler.late() ?? [],
    stages: shares,
  };
}

/** A log in the data folder is made; topics of a cluster are somebody's, and are to be as they are wanted. Throws E_LOG_IO. */
async function assertReadyLog({ workspace, teacher, source }: IngestOptions): Promise<void> {
  const { log, cluster, config } = workspace;
  const { kafka, stream, partitions } = config;
  if (kafka === undefined || cluster === null) {
    await log.ensureTopic(stream, partitions);
    return;
  }
  const roles = source === undefined ? (["ingest"] as const) : (["ingest", "producer"] as const);
  await assertRights(cluster, { roles, stream, kafka, teacher: teacherDigest(teacher.card) });
  await assertTopics(cluster, config, kafka, ["images", "versions", "quarantine"]);
}

interface Run {
  readonly options: IngestOptions & Required<Pick<IngestOptions, "nowMs" | "newId">>;
  readonly progress: IngestProgress;
  readonly stages: StageRecord;
  /** Aborts at the stop, and where one of the three has failed */
  readonly halt: AbortSignal;
  readonly published: PublishedCut[];
  /** null until scoring has begun */
  live: Live | null;
}

function sayWhatNeverFires({ workspace, follow, publish, onWarning }: IngestOptions): void {
  if (follow === undefined || publish === false) return;
  for (const dataset of workspace.config.datasets.filter(neverFires))
    onWarning?.(neverFiresText(dataset, "nothing is published before the stop"));
}

/** Appends what the source has; following, again and again. Returns each partition's end. */
async function produceAll({ options, progress, halt }: Run): Promise<number[]> {
  const { workspace, source, follow, control } = options;
  const stop = endOfTaking(halt, control);
  const { log, config } = workspace;
  const topic = config.stream;
  const partitions = (await log.ends(topic)).length;
  const erased = new ErasedImages(workspace.store, topic, options.nowMs);
  for (let before = 0; source !== undefined && !stop.aborted;) {
    let appended = 0;
    const onAppended = (records: number): void => {
      options.observer?.take({ event: "log.appended", records: records - appended });
      appended = records;
      progress.onAppended(before + records);
    };
    const beganMs = performance.now();
    const { observer, nowMs } = options;
    const appending = { log, source, topic, partitions, erased, stop, control, onAppended, observer, nowMs };
    const found = await produce(appending);
    before += found;
    if (follow === undefined) break;
    await sleepUntil(restMs({ found, tookMs: performance.now() - beganMs, rescanMs: follow.rescanMs }), stop);
  }
  if (follow !== undefined) await aborted(stop);
  const ends = (await log.ends(topic)).map(({ end }) => end);
  if (follow === undefined || control?.drain.aborted === true) progress.onEnds(ends);
  return ends;
}

/** Aborts where the run ends, or is to take nothing more. */
function endOfTaking(halt: AbortSignal, control: FlowControl | undefined): AbortSignal {
  return control === undefined ? halt : AbortSignal.any([halt, control.drain]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** Scores and archives up to the ends that `until` gives; without, until halted. */
async function scoreAll(
  run: Run,
  until: Promise<readonly number[]> | null,
): Promise<{ readonly frontier: Frontier; readonly shares: StageShares }> {
  const { options, progress, stages, halt } = run;
  const { workspace, teacher, follow, nowMs, onWarning = () => undefined } = options;
  const { config, log, store } = workspace;
  const { card } = teacher;
  const upkeep = upkeepOf(options, halt, nowMs);
  const signs = new OutputSigns(card);
  const sayAll = (seen: readonly SeenSign[]): void => {
    for (const { message } of seen) onWarning(message, SIGN_CODE);
  };
  const end = async (): Promise<StageShares> => {
    const shares = await stages.end(progress);
    for (const one of upkeep) await one.end();
    return shares;
  };
  let frontier: Frontier;
  try {
    frontier = await scoreTopic({
      ...options,
      config,
      log,
      store,
      index: openScoreIndex(workspace, card),
      card,
      until,
      isEndless: follow !== undefined,
      // Of a run that ends, what fails for another reason than another partition's failure is the caller's to begin again.
      retry: (work, given) =>
        keepRunning(work, {
          signal: given,
          onWarning,
          nowMs,
          loop: "score",
          observer: options.observer,
          ...(follow === undefined ? { passes: ({ code }) => code === "E_FLOW_FAILED" } : {}),
        }),
      signal: halt,
      stages: stages.clock,
      downstream: async (reached) => {
        run.live = await openLive(options, reached);
        progress.onStart(reached, run.live.datasets);
        const { kafka } = config;
        if (kafka === undefined) return run.live.datasets;
        return new ToldQuarantine(run.live.datasets, { log, store, topic: kafka.topics.quarantine, nowMs });
      },
      onSegment: (segment) => {
        run.live?.scheduler.countLate(segment.batch, nowMs());
        run.live?.scheduler.observe(segment.header, nowMs());
        progress.onSegment(segment);
        sayAll(signs.onSegment(segment));
        stages.note(progress);
        for (const one of upkeep) one.note();
      },
    });
  } catch (error) {
    await end();
    throw error;
  }
  sayAll(signs.end());
  return { frontier, shares: await end() };
}

/** The states at the frontier where scoring begins, and what judges and publishes them. */
async function openLive(options: Run["options"], frontier: Frontier): Promise<Live> {
  const { workspace, teacher, follow, onWarning, observer, nowMs } = options;
  const { config, store } = workspace;
  const { card } = teacher;
  const { stream } = config;
  const warning = onWarning === undefined ? {} : { onWarning };
  const datasets = await LiveDatasets.open(
    {
      store,
      datasets: config.datasets,
      teacher: teacherDigest(card),
      stream,
      card,
      ...config.checkpoint,
      ...warning,
      observer,
      nowMs,
    },
    frontier,
  );
  const scheduler = await CutScheduler.open({ store, card, facts: datasets, frontier, nowMs: nowMs() });
  datasets.closedMs = () => scheduler.closedMs(nowMs());
  const onRefused = ({ error }: Refusal): void => {
    // A run that ends gives them back instead.
    if (follow !== undefined) onWarning?.(error.message, error.code);
  };
  const { traced } = datasets;
  const publisher = new DuePublisher({ ...options, store, card, stream, scheduler, traced, onRefused });
  return { datasets, scheduler, publisher };
}

/** Publishes what triggers ask for, as long as images are followed. */
async function judgeAll(run: Run): Promise<void> {
  const { follow, publish, nowMs, stop, control } = run.options;
  // What is due when all is scored is published at the end.
  const end = endOfTaking(run.halt, control);
  while (follow !== undefined && publish !== false && !end.aborted) {
    const { live } = run;
    run.options.observer?.take({ event: "loop.turned", loop: "publish" });
    const due = live?.scheduler.due(nowMs()) ?? [];
    if (live !== null && due.length > 0) {
      const made = await live.publisher.publish(due, await live.datasets.checkpoint(), stop);
      run.published.push(...made.published);
      if (made.published.length > 0) await tell(run.options);
    }
    await sleepUntil(follow.judgeMs, end);
  }
}

/** Publishes what is due when all is scored, or at the stop that a following run has waited for. Returns what nobody could want, and how much is due still. */
async function publishLast(
  { options, progress, published, live }: Run,
  frontier: Frontier,
): Promise<{ readonly refused: readonly Refusal[]; readonly leftDue: number }> {
  const { publish, follow, stop } = options;
  const { counts } = progress;
  const publishes = publish === "if-scored" ? counts.scored + counts.copied > 0 : publish;
  if (!publishes || live === null || (follow === undefined && stop.aborted)) return { refused: [], leftDue: 0 };
  const { scheduler, publisher } = live;
  const made =
    follow === undefined
      ? await publisher.publish(scheduler.dueAtEnd(), frontier, stop)
      : await publisher.publish([...dueSince(options, scheduler), ...scheduler.dueAtStop()], frontier);
  published.push(...made.published);
  await tell(options);
  return made;
}

async function tell({ workspace: { config, store, cluster }, onWarning }: IngestOptions): Promise<void> {
  await tellVersions(config, store, { opened: cluster, onWarning });
}

/** What has come due since triggers were looked at last, of a run that was asked to drain. */
function dueSince({ control, nowMs }: Run["options"], scheduler: CutScheduler): ReturnType<CutScheduler["due"]> {
  return control?.drain.aborted === true ? scheduler.due(nowMs()) : [];
}

/** Segments archived between two cuts of the log */
const CUT_SEGMENTS = 32;

/** What is looked after beside scoring: the archive is compacted, and the log cut. */
function upkeepOf(
  { workspace, teacher, observer, onWarning = () => undefined }: IngestOptions,
  signal: AbortSignal,
  nowMs: () => number,
): Upkeep[] {
  const { config, store, embedded } = workspace;
  const archive = { store, teacher: teacherDigest(teacher.card), stream: config.stream, nowMs };
  const compacting = keepCompacted({ ...archive, observer, onWarning, signal });
  if (embedded === null) return [compacting];
  const cut = new LogCut({ ...archive, log: embedded, retention: config.log });
  const how = { everySegments: CUT_SEGMENTS, failure: "The log is cut later", onWarning, signal };
  const cutting = new Upkeep(how, async () => {
    await cut.cut();
  });
  return [compacting, cutting];
}
