import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import type { Assignment, Log, LogBatch } from "../../connectors/log/log.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { archiveHole, archiveLoss, type ArchiveOptions, type ChainPosition } from "../../operators/archive/archive.js";
import { ChainRuns } from "../../operators/archive/chain-runs.js";
import { ErasedImages } from "../../operators/archive/erased-images.js";
import type { ImageDecoding } from "../../operators/image/decode.js";
import { Dedupe } from "../../operators/image/dedupe.js";
import { KeptAgain } from "../../operators/pack/kept-again.js";
import { CODE_VERSION } from "../../schemas/code-version.js";
import type { Config } from "../../schemas/config.js";
import { awaitedLater } from "../../schemas/errors.js";
import { sortFrontier, type Frontier } from "../../schemas/frontier.js";
import type { ChainName } from "../../schemas/keys.js";
import type { ModelCard } from "../../schemas/model-card.js";
import type { Observer } from "../../schemas/observed.js";
import type { Segment } from "../../schemas/segment.js";
import { ByteBudget } from "./flow.js";
import type { Downstream } from "./downstream.js";
import { archivedSegment } from "./archived-segment.js";
import { assertSameLog } from "./log-continues.js";
import { relocatedOpener } from "../open/relocated-opener.js";
import { scoreFlow } from "./score-flow.js";
import { TracedRecords } from "./traced-records.js";
import type { FlowControl } from "./flow-control.js";
import type { LocalScoreIndex } from "./score-index.js";
import { StageClock } from "./stage-clock.js";

/** What all chains that one process scores are given. */
export interface ChainScoringOptions {
  readonly config: Config;
  readonly log: Log;
  readonly store: Store;
  readonly card: ModelCard;
  readonly engine: Engine;
  readonly decoder: Decoder;
  /** Where images are decoded; by default by `decoder`, in this thread */
  readonly decoding?: ImageDecoding | undefined;
  readonly opener: ImageOpener;
  /** Knows the archived digests; follows the archive */
  readonly index: LocalScoreIndex;
  readonly downstream: Downstream;
  /** Called with each archived segment once it is committed */
  readonly onSegment?: ((segment: Segment) => void) | undefined;
  /** Told how long each stage is at work; a `StageRecord` keeps it for `status` */
  readonly stages?: StageClock | undefined;
  /** Told what goes on; see `Observer` */
  readonly observer?: Observer | undefined;
  /** What is asked of this process while it runs; absent: nothing can be */
  readonly control?: FlowControl | undefined;
  readonly nowMs: () => number;
  /** Names packs and pins, [a-z0-9]+, never the same twice. Default: at random */
  readonly attempt?: (() => string) | undefined;
}

/** What all chains that one process scores share. */
export interface ChainScoring extends ChainScoringOptions {
  readonly dedupe: Dedupe;
  readonly budget: ByteBudget;
  readonly stages: StageClock;
  readonly erased: ErasedImages;
}

export function chainScoring(options: ChainScoringOptions): ChainScoring {
  const { config, log } = options;
  const budget = new ByteBudget(config.maxInFlightBytes, options.nowMs);
  const stages = options.stages ?? new StageClock(options.nowMs);
  options.observer?.watch({
    stages: () => stages.totals(),
    inFlight: () => ({ sizeBytes: budget.usedBytes, maxBytes: budget.maxBytes, waitedMs: budget.waitedMs }),
    logEnds: async () => (await log.ends(config.stream)).map(({ end }) => end),
  });
  return {
    ...options,
    dedupe: new Dedupe(options.index),
    budget,
    stages,
    erased: new ErasedImages(options.store, options.config.stream, options.nowMs),
  };
}

/** A chain, and where it ends so far. */
export interface OpenChain {
  readonly chain: ChainName;
  position: ChainPosition;
}

export interface ChainRun {
  /** The chain's partition, as it was given to this process */
  readonly given: Assignment;
  /** By default as the assignment reads */
  readonly read?: Assignment["read"];
  /** Scoring goes on until there. A number is where the chain itself ends: it is archived up to there, whatever the log has. */
  readonly until: number | Promise<number>;
  /** Aborts as `read` is made to end before its time. By default the assignment's */
  readonly signal?: AbortSignal;
}

/**
 * log -> fetch -> dedupe -> decode -> score -> archive -> downstream, along one chain from where it ends. What the log's
 * retention has removed before it was read is archived as lost. Returns at `until`, or when reading ends.
 */
export async function scoreChain(open: OpenChain, run: ChainRun, scoring: ChainScoring): Promise<void> {
  const { store, index, nowMs, attempt = () => randomBytes(6).toString("hex") } = scoring;
  const { partition, origin } = open.chain;
  const keptAgain = new KeptAgain({
    store,
    archive: open.chain,
    packOf: (digest) => index.packOf(digest),
    name: `score-${partition}-${origin}-${attempt()}`,
    nowMs,
  });
  try {
    await scoreAlong(open, run, scoring, { ...archiveOptions(scoring, open.chain), attempt, keptAgain });
  } finally {
    scoring.observer?.take({ event: "partition.left", partition });
    await keptAgain.close();
  }
}

async function scoreAlong(
  open: OpenChain,
  run: ChainRun,
  scoring: ChainScoring,
  archive: ArchiveOptions,
): Promise<void> {
  const { config, log, index, downstream } = scoring;
  const { partition } = open.chain;
  const { until, given, signal = given.signal } = run;
  const untraced: Assignment["read"] = run.read ?? ((offset, how) => given.read(offset, how));
  const traced = TracedRecords.of(scoring.observer, { stream: config.stream, partition }, scoring.nowMs);
  const read: Assignment["read"] = traced === null ? untraced : (offset, how) => traced.noting(untraced(offset, how));
  // Another scorer may have had the partition since: this one goes on from what that one archived.
  const isSameLog = async (): Promise<void> => {
    await assertSameLog(log, scoring.store, config.stream);
  };
  await isSameLog();
  open.position = await index.catchUp(open.chain);
  await downstream.catchUp(open.chain, open.position.end, given);
  const follows = typeof until !== "number";
  scoring.observer?.take({ event: "partition.given", partition, end: open.position.end, follows });
  scoring.observer?.take({ event: "loop.ready", loop: "score" });
  // As a number, so that no reader begins before it knows.
  const end = typeof until === "number" ? until : Number.POSITIVE_INFINITY;
  const opener = relocatedOpener(scoring.opener, scoring);
  const take = async (segment: Segment): Promise<void> => {
    await index.take(segment);
    await downstream.take(segment, traced?.scored(segment));
    await given.commit(segment.header.end);
    open.position = segment.header;
    scoring.observer?.take(archivedSegment(segment));
    scoring.onSegment?.(segment);
  };
  // The reader awaits it.
  if (typeof until !== "number") void awaitedLater(until);
  const logStart = async (): Promise<number> => (await log.ends(config.stream))[partition]!.start;
  let more = true;
  /** For the compiler, which does not see that reading may change it. */
  const isMore = (): boolean => more;
  while (more) {
    more = false;
    const first = await logStart();
    const start = Math.min(first, end);
    if (start > open.position.end) {
      const reason = `the log starts at ${first}: its retention removed what lay before`;
      await take(await archiveLoss(open.position, start, reason, archive));
    }
    if (open.position.end >= end) return;
    const flow = scoreFlow(
      {
        ...scoring,
        opener,
        partition,
        read: (offset, how) =>
          sameLog(
            stopAtLoss(read(offset, how), offset, logStart, () => {
              more = true;
            }),
            isSameLog,
            scoring.nowMs,
          ),
        archive,
        decodeConcurrency: config.decode.concurrency ?? availableParallelism(),
        until,
        hold: () => scoring.control?.hold(signal) ?? null,
      },
      open.position,
    );
    for await (const segment of flow) await take(segment);
    if (isMore() || typeof until !== "number" || open.position.end >= end || signal.aborted) continue;
    // All was read, and the rest are offsets without records; or there was nothing left to read.
    if ((await logStart()) > open.position.end) more = true;
    else await take(await archiveHole(open.position, end, archive));
  }
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

/** How long batches are taken of a log before it is asked again whether it is the same, ms: a topic takes longer to be made anew. */
const SAME_LOG_MS = 1000;

/** Batches, as long as they are of the log that the chain counts offsets of: a topic may be made anew while it is read. */
async function* sameLog(
  batches: AsyncIterable<LogBatch>,
  assert: () => Promise<void>,
  nowMs: () => number,
): AsyncGenerator<LogBatch, void, undefined> {
  let askedMs = nowMs();
  for await (const batch of batches) {
    if (Math.abs(nowMs() - askedMs) >= SAME_LOG_MS) {
      await assert();
      askedMs = nowMs();
    }
    yield batch;
  }
}

function archiveOptions(
  { config, store, card, engine, downstream }: ChainScoring,
  chain: ChainName,
): Omit<ArchiveOptions, "attempt"> {
  const classCount = card.labels.length;
  return {
    store,
    chain,
    runs: new ChainRuns(store, chain),
    topM: Math.min(config.archive.topM, classCount),
    classCount: config.archive.logits === "all" ? classCount : null,
    embeddingSize: config.archive.embedding === "all" ? (card.output.embedding?.size ?? null) : null,
    engine: engine.info,
    codeVersion: CODE_VERSION,
    retainBytes: config.retainBytes,
    // Asked anew for each segment: thresholds rise.
    keepers: () => downstream.keepers(),
  };
}

export function frontierOf(chains: readonly OpenChain[]): Frontier {
  return sortFrontier(
    chains.map(({ chain, position }) => ({ partition: chain.partition, origin: chain.origin, end: position.end })),
  );
}
