import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { Engine } from "../../connectors/engine/engine.js";
import type { Assignment, LogBatch } from "../../connectors/log/log.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import {
  archiveSegment,
  storesBytes,
  type ArchiveOptions,
  type ChainPosition,
} from "../../operators/archive/archive.js";
import type { ErasedImages } from "../../operators/archive/erased-images.js";
import { decodeImage, decodingHere, type ImageDecoding } from "../../operators/image/decode.js";
import type { Dedupe, FlowDedupe } from "../../operators/image/dedupe.js";
import { fetchImage } from "../../operators/image/fetch.js";
import { hexDigest, type Outcome, type Scorable } from "../../operators/image/image-in-flight.js";
import { scoreGroup } from "../../operators/image/score.js";
import { BisectingScorer } from "../../operators/image/score-bisecting.js";
import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { outputWidth } from "../../schemas/output-width.js";
import { pixelBytes } from "../../schemas/pixels.js";
import type { Observer } from "../../schemas/observed.js";
import type { Segment } from "../../schemas/segment.js";
import { StageClock } from "./stage-clock.js";
import { batches, BudgetShare, mapOrdered, prefetch, type ByteBudget } from "./flow.js";

export interface ScoreFlowOptions {
  readonly partition: number;
  /** As `Assignment.read` */
  readonly read: Assignment["read"];
  readonly config: Config;
  readonly card: ModelCard;
  readonly engine: Engine;
  readonly decoder: Decoder;
  /** Where images are decoded; by default by `decoder`, in this thread */
  readonly decoding?: ImageDecoding | undefined;
  readonly opener: ImageOpener;
  readonly dedupe: Dedupe;
  /** Shared by all partitions of this process */
  readonly budget: ByteBudget;
  readonly archive: ArchiveOptions;
  /** Images decoded at once */
  readonly decodeConcurrency: number;
  readonly nowMs: () => number;
  readonly until: number | Promise<number>;
  /** Knows which images were erased; shared by all partitions of this process. By default none was */
  readonly erased?: ErasedImages;
  /** Holds reading back: null goes on at once; false ends the flow with what was read */
  readonly hold?: () => Promise<boolean> | null;
  /** Whether an image's bytes travel on to the archive; by default those of `storesImage` do */
  readonly keepBytes?: (uri: string) => boolean;
  /** Told how long each stage is at work; shared by all partitions of this process */
  readonly stages?: StageClock;
  readonly observer?: Observer | undefined;
}

/** Records a log read asks for at a time, and the greatest size it may have. */
const READ = { maxRecords: 1024, maxBytes: 16 * 1024 * 1024 };

/** Images that wait for a copy of earlier scores or for nothing at all may travel beside those the engine sees. */
const ITEMS_A_GROUP = 8;

/** Whether the archive may store an image's bytes. What came inside its record and names a place that is not opened lies nowhere else. */
export function storesImage(uri: string, { config, opener }: Pick<ScoreFlowOptions, "config" | "opener">): boolean {
  return storesBytes(config.bytes, uri) || opener.reaches?.(uri) === false;
}

/** One partition from the log to the archive: fetch, dedupe, decode, score, archive. Yields each segment archived. */
export async function* scoreFlow(
  options: ScoreFlowOptions,
  position: ChainPosition,
): AsyncGenerator<Segment, void, undefined> {
  const { partition, config, card, engine, decoder, opener, nowMs } = options;
  const stages = options.stages ?? new StageClock(nowMs);
  const budget = new BudgetShare(options.budget);
  const dedupe = options.dedupe.flow();
  /** A step that fails says so before the flow is torn down, which waits for images that may wait for others' flows. */
  const orFail = async <T>(step: Promise<T>): Promise<T> => {
    try {
      return await step;
    } catch (error) {
      dedupe.fail(error);
      throw error;
    }
  };
  const fetchOptions = {
    stream: config.stream,
    partition,
    opener,
    maxBytes: config.decode.maxBytes,
    maxFutureSkewMs: config.maxFutureSkewMs,
    nowMs,
    isErased: (sha256: string) => options.erased?.has(sha256) === true,
  };
  const settle = dedupe.settle.bind(dedupe);
  const decoding = options.decoding ?? decodingHere({ decoder, card, config: config.decode });
  const decodeOptions = { decoding, settle };
  const scoreOptions = {
    scorer: new BisectingScorer(engine, pixelBytes(card.input), outputWidth(card)),
    card,
    topM: config.archive.topM,
    allLogits: config.archive.logits === "all",
    embedding: options.archive.embeddingSize !== null,
    keepBytes: options.keepBytes ?? ((uri: string) => storesImage(uri, { config, opener })),
    settle,
  };

  const decodeConcurrency = Math.max(options.decodeConcurrency, decoding.parallelism ?? 0);
  const fetchConcurrency = decodeConcurrency * 2;
  stages.setPlaces({
    fetch: fetchConcurrency,
    // What waits for a thread is not at work.
    decode: options.decodeConcurrency,
    // Half of the batches that an engine takes at once wait behind the others: a worker with one is at work.
    score: Math.max(1, engine.parallelism / 2),
    archive: 1,
  });

  const read = options.read(position.end, { ...READ, until: options.until });
  const fetched = mapOrdered(
    recordsOf(read, dedupe, options.hold),
    fetchConcurrency,
    async (record) => {
      if (options.erased !== undefined) await orFail(options.erased.look());
      const image = await orFail(stages.run("fetch", () => fetchImage(record, fetchOptions)));
      const looking = dedupe.look(image);
      if (looking !== null) await orFail(looking);
      if (image.kind === "fetched") budget.take(image.bytes.length);
      return image;
    },
    () => budget.admit(),
  );
  const unseen = mapOrdered(fetched, 1, (image) => Promise.resolve(dedupe.onImage(image)));
  const decoded = mapOrdered(unseen, decodeConcurrency, async (image): Promise<Scorable> => {
    return image.kind === "fetched" ? orFail(stages.run("decode", () => decodeImage(image, decodeOptions))) : image;
  });
  const { batch } = config.engine;
  const groupSize = typeof batch === "number" ? batch : engine.info.batch;
  const groups = batches(decoded, {
    max: groupSize,
    weight: (image) => (image.kind === "decoded" ? 1 : 0),
    maxItems: groupSize * ITEMS_A_GROUP,
    maxDelayMs: config.engine.maxDelayMs,
  });
  const scored = mapOrdered(groups, engine.parallelism, async (group) => {
    const beganMs = nowMs();
    const outcomes = await orFail(stages.run("score", () => scoreGroup(group, scoreOptions)));
    options.observer?.take({ event: "batch.scored", images: decodedIn(group), tookMs: nowMs() - beganMs });
    group.forEach((image, index) => {
      const outcome = outcomes[index]!;
      if (outcome.kind === "refused" || outcome.bytes === null) budget.release(bytesInFlight(image));
    });
    return outcomes;
  });
  // Bytes to be stored stay in flight until their segment is written: a segment holds a quarter of the budget at most.
  const ranges = batches(each(scored), {
    max: config.maxInFlightBytes / 4,
    weight: (outcome) => (outcome.kind === "row" ? (outcome.bytes?.length ?? 0) : 0),
    maxItems: config.archive.segmentRecords,
    maxDelayMs: config.archive.segmentDelayMs,
    afterPause: { maxDelayMs: config.archive.pauseDelayMs, nowMs },
  });

  let at = position;
  try {
    // The next segment's images are read and scored while one is written and told.
    for await (const outcomes of prefetch(ranges, 2)) {
      stages.begin("archive");
      let isTaken = false;
      try {
        const segment = await orFail(archiveSegment(outcomes, at, options.archive));
        at = { end: segment.header.end, watermarkMs: segment.header.watermarkMs };
        // What the taker does with it (index, states, commit) is part of it: the flow stands until then.
        yield segment;
        isTaken = true;
      } finally {
        stages.end("archive");
        if (!isTaken) dedupe.fail(new SluiceError("E_CANCELLED", "The flow was closed before its end."));
      }
      for (const outcome of outcomes) {
        if (outcome.kind === "row") {
          budget.release(outcome.bytes?.length ?? 0);
          dedupe.forget(hexDigest(outcome.origin.digest));
        } else if (outcome.rejected.sha256 !== null) {
          dedupe.forget(outcome.rejected.sha256);
        }
      }
    }
  } finally {
    budget.end();
  }
}

async function* recordsOf(
  read: AsyncIterable<LogBatch>,
  dedupe: FlowDedupe,
  hold: () => Promise<boolean> | null = () => null,
): AsyncGenerator<StoredRecord, void, undefined> {
  try {
    for await (const { records } of read) {
      for (const record of records) {
        const held = hold();
        if (held !== null && !(await held)) return;
        yield record;
      }
    }
  } catch (error) {
    dedupe.fail(error);
    throw error;
  }
}

async function* each(groups: AsyncIterable<readonly Outcome[]>): AsyncGenerator<Outcome, void, undefined> {
  for await (const group of groups) yield* group;
}

function decodedIn(group: readonly Scorable[]): number {
  return group.reduce((sum, { kind }) => sum + (kind === "decoded" ? 1 : 0), 0);
}

function bytesInFlight(image: Scorable): number {
  return image.kind === "refused" ? image.sizeBytes : image.origin.sizeBytes;
}
