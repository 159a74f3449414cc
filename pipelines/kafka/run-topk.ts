import { once } from "node:events";
import type { Assignment } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { readClaims } from "../../operators/archive/chain-claims.js";
import { ArchiveReader, currentFrontier } from "../../operators/archive/archive-reader.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupName } from "../../schemas/kafka-names.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import type { Observer } from "../../schemas/observed.js";
import type { Shard } from "../../schemas/shard.js";
import { tracedHeaders, tracedIn } from "../../schemas/trace.js";
import { decodeCandidates, type CandidatesMessage } from "../../schemas/wire/candidates.js";
import { keepRunning } from "../flow/keep-running.js";
import { LiveDatasets } from "../flow/live-datasets.js";
import { PaneClock } from "../flow/pane-clock.js";
import { publishThresholds } from "./publish-thresholds.js";
import { assertTopics } from "./topics.js";
import { sleepUntil } from "../flow/sleep-until.js";
import type { TopicLog } from "./topic-log.js";

export interface RunTopkOptions {
  readonly config: Config;
  readonly kafka: KafkaConfig;
  readonly log: TopicLog;
  readonly store: Store;
  readonly card: ModelCard;
  /** A checkpoint is written after this long, if something came, and before if enough did; ms */
  readonly checkpointMs: number;
  readonly onRestored?: (restored: RestoredShard) => void;
  /** Called for each segment that the states have taken in, once a shard */
  readonly onTaken?: (message: CandidatesMessage) => void;
  readonly onWarning: (message: string, code?: string) => void;
  readonly observer?: Observer | undefined;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** A shard that this process has been given, and has ready. */
export interface RestoredShard {
  readonly shard: Shard;
  /** From being given it until its states were at the archive's end */
  readonly tookMs: number;
  /** Records that the states cover */
  readonly records: number;
}

export interface RunTopkResult {
  /** Segments taken in, once a shard */
  readonly segments: number;
}

/**
 * candidates topic -> top-K states -> checkpoints -> thresholds topic, until stopped. A member of the top-K workers' group: a
 * partition of the topic is a class shard, and its worker keeps those classes alone.
 */
export async function runTopk(options: RunTopkOptions): Promise<RunTopkResult> {
  const { config, kafka, log, card, signal, onWarning, observer, nowMs } = options;
  await assertTopics(log, config, kafka, ["candidates", "thresholds"]);
  const group = groupName(config, "topk", teacherDigest(card));
  let segments = 0;
  const counting = {
    ...options,
    onTaken: (message: CandidatesMessage) => {
      segments++;
      options.onTaken?.(message);
    },
  };
  const task = async (assignment: Assignment): Promise<void> => {
    const given = AbortSignal.any([assignment.signal, signal]);
    const shard = { index: assignment.partition, count: kafka.shards };
    // A topic may have partitions more than there are shards; nothing is sent there.
    if (shard.index < shard.count) await new ShardKeeper(counting, shard, assignment, given).run();
    else if (!given.aborted) await once(given, "abort");
  };
  const work = (): Promise<void> => {
    // A worker without a shard stands by.
    observer?.take({ event: "loop.ready", loop: "topk" });
    return log.consume(kafka.topics.candidates, group, task, signal);
  };
  await keepRunning(work, { signal, onWarning, nowMs, loop: "topk", observer });
  return { segments };
}

const READ = { maxRecords: 100, maxBytes: 16 * 1024 * 1024 };
/** How often it is seen whether a checkpoint is due, at most, ms */
const LOOK_MS = 1000;

/** Keeps one class shard for as long as this process is given it. */
class ShardKeeper {
  readonly #options: RunTopkOptions;
  readonly #shard: Shard;
  readonly #assignment: Assignment;
  readonly #given: AbortSignal;
  /** Everything below it is in the states */
  #taken = 0;
  #committed = 0;
  #settledMs = 0;
  #settling: Promise<void> | null = null;

  constructor(options: RunTopkOptions, shard: Shard, assignment: Assignment, given: AbortSignal) {
    this.#options = options;
    this.#shard = shard;
    this.#assignment = assignment;
    this.#given = given;
  }

  async run(): Promise<void> {
    const { log, kafka, observer, onWarning, nowMs } = this.#options;
    const startedMs = nowMs();
    const topic = kafka.topics.candidates;
    // Read before the archive is: what is told by then is in it.
    const { start, end } = (await log.ends(topic))[this.#shard.index]!;
    const committed = await this.#assignment.committed();
    this.#taken = committed === null || committed < start || committed > end ? start : committed;
    this.#committed = committed ?? -1;
    if (committed !== null && committed > end) {
      onWarning(
        `Expected ${topic}/${this.#shard.index} to reach offset ${committed}, where this shard's worker was, found its end at ${end}: the topic was deleted and made anew. ` +
          "Nothing is lost: the states are restored from checkpoints and the archive.",
      );
    }
    this.#settledMs = startedMs;
    const { live, clock } = await this.#restore(startedMs);
    const halt = new AbortController();
    const settling = this.#settleInTime(live, AbortSignal.any([this.#given, halt.signal]));
    settling.catch((error: unknown) => {
      halt.abort(error);
    });
    try {
      const reading = AbortSignal.any([this.#given, halt.signal]);
      for await (const batch of log.read(topic, this.#shard.index, this.#taken, READ, reading)) {
        for (const record of batch.records) await this.#take(record, live, clock);
        this.#taken = batch.end;
        if (live.isDue) await this.#settle(live);
      }
    } catch (error) {
      // As it is read, or between the look at its ends and the first read.
      if (!isSluiceError(error, "E_LOG_RECREATED") && !isSluiceError(error, "E_LOG_RANGE")) throw error;
      // Of images it would be a loss; candidates are all in the archive.
      throw new SluiceError("E_LOG_IO", `${error.message} Its states are restored from checkpoints and the archive.`, {
        cause: error,
        retryable: true,
      });
    } finally {
      halt.abort();
      await settling;
    }
    await this.#settle(live);
    // Of several shards another one's next turn says that there is something to do.
    observer?.take({ event: "loop.idle", loop: "topk" });
  }

  async #restore(startedMs: number): Promise<{ readonly live: LiveDatasets; readonly clock: PaneClock }> {
    const { config, log, kafka, store, card, onRestored, onWarning, observer, nowMs } = this.#options;
    const { stream, datasets } = config;
    const teacher = teacherDigest(card);
    const shard = this.#shard;
    const frontier = await currentFrontier(store, { teacher, stream });
    const live = await LiveDatasets.open(
      {
        store,
        datasets,
        teacher,
        stream,
        card,
        ...config.checkpoint,
        shard,
        onDurable: (durable) =>
          publishThresholds(durable, { log, topic: kafka.topics.thresholds, teacher, shard, nowMs }),
        onWarning,
        observer,
        nowMs,
      },
      frontier,
    );
    const partitions = [...new Set(frontier.map(({ partition }) => partition))];
    const clock = new PaneClock(datasets, partitions, nowMs());
    live.closedMs = () => clock.closedMs(nowMs());
    const records = Math.max(0, ...datasets.map((dataset) => live.coverageOf(dataset).records.in));
    onRestored?.({ shard, tookMs: nowMs() - startedMs, records });
    return { live, clock };
  }

  async #take(record: StoredRecord, live: LiveDatasets, clock: PaneClock): Promise<void> {
    const { config, kafka, store, card, onTaken, onWarning, nowMs } = this.#options;
    const { stream } = config;
    const teacher = teacherDigest(card);
    let message: CandidatesMessage;
    try {
      message = decodeCandidates(record, { topic: kafka.topics.candidates, partition: this.#shard.index });
    } catch (error) {
      if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
      onWarning(`${error.message} It is passed over, and the archive read instead.`);
      for (const { end, ...chain } of await currentFrontier(store, { teacher, stream })) {
        await live.catchUp({ teacher, stream, ...chain }, end);
      }
      return;
    }
    if (message.teacher !== teacher || message.stream !== stream) return;
    clock.observe(message, nowMs());
    const isNew = await live.onCandidates(message, tracedIn(record.headers));
    await this.#tellTraced(live);
    if (isNew) onTaken?.(message);
  }

  /** Publishers go on with traced images: a record that ends no key, which other readers pass over. */
  async #tellTraced(live: LiveDatasets): Promise<void> {
    const { log, kafka, nowMs } = this.#options;
    const headers = tracedHeaders(live.traced.take());
    if (Object.keys(headers).length === 0) return;
    const key = Buffer.from(`traced/${this.#shard.index}`);
    await log.append(kafka.topics.thresholds, 0, [{ key, value: null, headers, timestampMs: nowMs() }]);
  }

  async #settleInTime(live: LiveDatasets, signal: AbortSignal): Promise<void> {
    const { checkpointMs, nowMs } = this.#options;
    for (;;) {
      await sleepUntil(Math.min(LOOK_MS, checkpointMs), signal);
      if (signal.aborted) return;
      this.#options.observer?.take({ event: "loop.turned", loop: "topk" });
      if (nowMs() - this.#settledMs < checkpointMs) continue;
      await this.#followReplays(live);
      await this.#settle(live);
    }
  }

  /** Replays tell nobody: what they have archived of this teacher is read. */
  async #followReplays(live: LiveDatasets): Promise<void> {
    const { config, store, card } = this.#options;
    const archive = new ArchiveReader(store, { teacher: teacherDigest(card), stream: config.stream });
    for (const { partition, origin, end } of await readClaims(store, archive.archive)) {
      const chain = { ...archive.archive, partition, origin };
      const covered = Math.min(...config.datasets.map((dataset) => live.coverageOf(dataset).endIn(chain)));
      if (end === null || covered >= end) continue;
      await live.catchUp(chain, await archive.chain(chain).end(covered));
    }
  }

  /** Makes durable what came, and commits it; one at a time. */
  async #settle(live: LiveDatasets): Promise<void> {
    while (this.#settling !== null) await this.#settling;
    this.#settling = this.#checkpointAndCommit(live).finally(() => {
      this.#settling = null;
    });
    await this.#settling;
  }

  async #checkpointAndCommit(live: LiveDatasets): Promise<void> {
    this.#settledMs = this.#options.nowMs();
    const taken = this.#taken;
    if (!(await live.checkpointIfComplete()) || taken === this.#committed) return;
    await this.#assignment.commit(taken);
    this.#committed = taken;
  }
}
