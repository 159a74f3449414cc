import { availableParallelism } from "node:os";
import type { Decoder } from "../connectors/decoder/decoder.js";
import type { Engine } from "../connectors/engine/engine.js";
import type { Assignment, Log, LogBatch } from "../connectors/log/log.js";
import type { ImageOpener } from "../connectors/source/source.js";
import type { Store } from "../connectors/store/store.js";
import { archiveLoss, type ArchiveOptions, type ChainPosition } from "../operators/stages/archive.js";
import { liveChain } from "../operators/stages/chain.js";
import { Dedupe } from "../operators/stages/dedupe.js";
import { saveCard } from "../operators/stages/teacher-registry.js";
import { CODE_VERSION } from "../schemas/code-version.js";
import type { Config } from "../schemas/config.js";
import { SluiceError } from "../schemas/errors.js";
import { sortFrontier, type Frontier } from "../schemas/frontier.js";
import type { ChainName } from "../schemas/keys.js";
import { teacherDigest, type ModelCard } from "../schemas/model-card.js";
import type { Segment } from "../schemas/segment.js";
import { ByteBudget } from "./runtime/flow.js";
import { LiveDatasets } from "./runtime/live-datasets.js";
import { scoreFlow } from "./runtime/score-flow.js";
import { StageClock } from "./runtime/stage-clock.js";
import type { ScoreOutlet } from "./runtime/score-outlet.js";
import type { ChainFollower } from "./runtime/score-index.js";

export interface ScoreTopicOptions {
  readonly config: Config;
  readonly log: Log;
  readonly store: Store;
  /** Knows the archived digests; follows the archive */
  readonly index: ChainFollower;
  readonly card: ModelCard;
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly opener: ImageOpener;
  /** Where each partition ends for this run; scoring goes on until there. Never settling means for ever. */
  readonly until: Promise<readonly number[]>;
  /** Where the archive ends as scoring starts, and the states that follow it */
  readonly onStart?: (frontier: Frontier, datasets: LiveDatasets) => Promise<void>;
  readonly onSegment?: (segment: Segment) => void;
  /** Hears of every archived segment before its offsets are committed */
  readonly outlet?: ScoreOutlet;
  /** Whether the states' checkpoints are written here; see `LiveOptions.writes` */
  readonly checkpoints?: boolean;
  readonly onWarning?: (message: string) => void;
  /** Ends reading; what was read is scored and archived */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Told how long each stage is at work; a `StageRecord` keeps it for `status` */
  readonly stages?: StageClock;
}

/**
 * log -> fetch -> dedupe -> decode -> score -> archive -> candidates -> topk, for every partition that this process is
 * given. Resumes at the archive's end. Returns the frontier reached.
 */
export async function scoreTopic(options: ScoreTopicOptions): Promise<Frontier> {
  const { config, log, store, index, card, signal } = options;
  const { stream } = config;
  const teacher = teacherDigest(card);
  await saveCard(store, card);
  const chains = await openChains(options, teacher);
  const datasets = await LiveDatasets.restore(
    {
      store,
      datasets: config.datasets,
      teacher,
      stream,
      card,
      ...config.checkpoint,
      writes: options.checkpoints ?? true,
      ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
    },
    frontierOf(chains),
  );
  for (const { chain, position } of chains) await datasets.catchUp(chain, position.end);
  await options.onStart?.(frontierOf(chains), datasets);

  const dedupe = new Dedupe(index);
  const budget = new ByteBudget(config.maxInFlightBytes);
  const stages = options.stages ?? new StageClock(options.nowMs);
  const scorePartition = async (assignment: Assignment): Promise<void> => {
    const open = chains[assignment.partition];
    if (open === undefined) throw partitionAdded(stream, assignment.partition);
    const archive = archiveOptions(options, open.chain, datasets);
    // Another scorer may have had the partition since: this one goes on from what that one archived.
    open.position = await index.catchUp(open.chain);
    await datasets.catchUp(open.chain, open.position.end);
    await options.outlet?.takeOver(assignment, open.chain, open.position.end);
    const take = async (segment: Segment): Promise<void> => {
      await index.onSegment(segment);
      await datasets.onSegment(segment);
      await options.outlet?.forward(segment);
      await assignment.commit(segment.header.end);
      open.position = segment.header;
      options.onSegment?.(segment);
    };
    const logStart = async (): Promise<number> => (await log.ends(stream))[assignment.partition]!.start;
    for (let more = true; more;) {
      more = false;
      const start = await logStart();
      if (start > open.position.end) {
        const reason = `the log starts at ${start}: its retention removed what lay before`;
        await take(await archiveLoss(open.position, start, reason, archive));
      }
      const flow = scoreFlow(
        {
          ...options,
          partition: assignment.partition,
          read: (offset, how) =>
            stopAtLoss(assignment.read(offset, how), offset, logStart, () => {
              more = true;
            }),
          dedupe,
          budget,
          stages,
          archive,
          decodeConcurrency: config.decode.concurrency ?? availableParallelism(),
          until: options.until.then((ends) => ends[assignment.partition]!),
        },
        open.position,
      );
      try {
        for await (const segment of flow) await take(segment);
      } catch (error) {
        dedupe.fail(error);
        throw error;
      }
    }
  };
  try {
    await log.consume(stream, `score-${teacher.slice(0, 16)}`, scorePartition, signal);
  } finally {
    await datasets.checkpoint();
  }
  return frontierOf(chains);
}

/**
 * Batches of a partition, up to where the log's retention has removed records that were not read yet: their range is
 * archived as lost before what follows is. Offsets may have holes of their own, which are not.
 */
async function* stopAtLoss(
  read: AsyncIterable<LogBatch>,
  from: number,
  logStart: () => Promise<number>,
  onLoss: () => void,
): AsyncGenerator<LogBatch, void, undefined> {
  let position = from;
  for await (const batch of read) {
    const first = batch.records[0]?.offset ?? batch.end;
    if (first > position && (await logStart()) > position) {
      onLoss();
      return;
    }
    yield batch;
    position = batch.end;
  }
}

interface OpenChain {
  readonly chain: ChainName;
  position: ChainPosition;
}

function frontierOf(chains: readonly OpenChain[]): Frontier {
  return sortFrontier(
    chains.map(({ chain, position }) => ({ partition: chain.partition, origin: chain.origin, end: position.end })),
  );
}

/** Retryable: whoever opens the topic anew has it. */
function partitionAdded(stream: string, partition: number): SluiceError {
  return new SluiceError(
    "E_LOG_IO",
    `Expected the partitions that topic "${stream}" had as scoring began, found a new one, ${partition}. Start scoring anew.`,
    { retryable: true },
  );
}

/** The live chain of each partition, and where it ends: a scorer resumes there, whatever its group has committed. */
async function openChains(options: ScoreTopicOptions, teacher: string): Promise<OpenChain[]> {
  const { log, store, index, config } = options;
  const { stream } = config;
  const chains: OpenChain[] = [];
  for (const [partition, ends] of (await log.ends(stream)).entries()) {
    const chain = await liveChain(store, { teacher, stream, partition }, ends.start);
    const position = await index.catchUp(chain);
    // Another scorer may have archived what came after the log was asked: only a log that still ends below is another one.
    const logEnd = position.end > ends.end ? (await log.ends(stream))[partition]!.end : ends.end;
    if (position.end > logEnd) {
      throw new SluiceError(
        "E_LOG_RECREATED",
        `Expected the log of ${stream}/${partition} to reach offset ${position.end}, where its archive ends, found its end at ${logEnd}: ` +
          "the topic was deleted and made anew, or another log stands in its place. Give the new topic another stream name.",
        { partition, chainEnd: position.end, logEnd },
      );
    }
    chains.push({ chain, position });
  }
  return chains;
}

function archiveOptions(options: ScoreTopicOptions, chain: ChainName, datasets: LiveDatasets): ArchiveOptions {
  const { config, store, card, engine } = options;
  const classCount = card.labels.length;
  return {
    store,
    chain,
    topM: Math.min(config.archive.topM, classCount),
    classCount: config.archive.logits === "all" ? classCount : null,
    engine: engine.info,
    codeVersion: CODE_VERSION,
    retainBytes: config.retainBytes,
    keepers: () => datasets.keepers(),
    writeConcurrency: 16,
  };
}
