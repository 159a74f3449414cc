import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import type { Cluster, Consumer } from "kafkajs";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { KafkaClient } from "./kafka-client.js";
import { isExpelled, kafkaFailure } from "./kafka-errors.js";

export interface GroupTimes {
  /** A member that gives no sign for this long loses its partitions, ms. Default 10,000. */
  readonly sessionMs?: number;
  /** How long a rebalance waits for a member that still ends its tasks, ms. Default 60,000. */
  readonly rebalanceMs?: number;
  /** Between signs of life, ms: also how soon a rebalance is noticed. Default 1,000. */
  readonly heartbeatMs?: number;
}

interface Held {
  readonly abort: AbortController;
  /** Settles when the task has ended; never rejects. */
  readonly done: Promise<void>;
  ended: boolean;
}

/** What a task gets of its membership. */
export interface Holding {
  readonly partition: number;
  readonly signal: AbortSignal;
  commit(offset: number): Promise<void>;
}

const LEAVE_WITHIN_MS = 15_000;
/** How long a task's last commit goes on trying */
const LAST_COMMIT_MS = 5_000;

/**
 * One member of a consumer group on one topic. kafkajs's consumer does the membership and nothing else: all partitions are
 * paused as soon as they are given, so that it only keeps giving signs of life, whatever the tasks do meanwhile; reading is
 * the tasks' own affair (kafka-fetch.ts).
 *
 * Before this member asks to join again (at each rebalance) its tasks are told to end, and it waits for them: a partition
 * is never held by two members, unless one of them is out of reach for `sessionMs`, and then ends its tasks by itself.
 */
export class KafkaMember {
  readonly #client: KafkaClient;
  readonly #topic: string;
  readonly #group: string;
  readonly #times: Required<GroupTimes>;
  readonly #task: (holding: Holding) => Promise<void>;
  readonly #consumer: Consumer;
  readonly #held = new Map<number, Held>();
  /** Commits that the group has acknowledged, of those under way */
  readonly #acknowledged = new Set<string>();
  readonly #failures: unknown[] = [];
  readonly #finish = new AbortController();
  #assigned: readonly number[] = [];
  #aliveMs = performance.now();
  #stopping = false;

  constructor(
    client: KafkaClient,
    topic: string,
    group: string,
    times: GroupTimes,
    task: (holding: Holding) => Promise<void>,
  ) {
    this.#client = client;
    this.#topic = topic;
    this.#group = group;
    this.#times = { sessionMs: 10_000, rebalanceMs: 60_000, heartbeatMs: 1_000, ...times };
    this.#task = task;
    this.#consumer = client.kafka.consumer({
      groupId: group,
      sessionTimeout: this.#times.sessionMs,
      rebalanceTimeout: this.#times.rebalanceMs,
      heartbeatInterval: this.#times.heartbeatMs,
      // With every partition paused this is how often the consumer looks whether it is time for a sign of life.
      maxWaitTimeInMs: 100,
      metadataMaxAge: client.metadataMaxAgeMs,
      allowAutoTopicCreation: false,
      retry: {
        retries: 5,
        initialRetryTime: 100,
        maxRetryTime: 1_000,
        restartOnFailure: async () => this.#mayRestart(),
      },
      partitionAssigners: [
        (config) => {
          this.#beforeEachJoin(config.cluster);
          return kafkajs.PartitionAssigners.roundRobin(config);
        },
      ],
    });
  }

  /** Returns when every task has ended or `signal` aborts. The first error of a task, or of the group, is thrown. */
  async run(signal: AbortSignal): Promise<void> {
    const finished = AbortSignal.any([signal, this.#client.closed, this.#finish.signal]);
    const ended = once(finished, "abort");
    if (finished.aborted) return;
    const watch = setInterval(() => {
      if (performance.now() - this.#aliveMs > this.#times.sessionMs) void this.#revoke();
    }, 500);
    try {
      await this.#join();
      await ended;
    } finally {
      this.#stopping = true;
      clearInterval(watch);
      // Still a member: what the tasks commit while they end counts.
      await this.#revoke();
      const left = this.#consumer.disconnect().catch(() => undefined);
      await Promise.race([left, sleep(LEAVE_WITHIN_MS, null, { ref: false })]);
    }
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #fail(error: unknown): void {
    this.#failures.push(error);
    this.#finish.abort();
  }

  async #join(): Promise<void> {
    const { GROUP_JOIN, HEARTBEAT, CRASH, COMMIT_OFFSETS } = this.#consumer.events;
    this.#consumer.on(HEARTBEAT, () => {
      this.#aliveMs = performance.now();
    });
    this.#consumer.on(GROUP_JOIN, ({ payload }) => {
      this.#aliveMs = performance.now();
      this.#consumer.pause([{ topic: this.#topic }]);
      this.#give(payload.memberAssignment[this.#topic] ?? []);
    });
    this.#consumer.on(COMMIT_OFFSETS, ({ payload }) => {
      for (const { partitions } of payload.topics) {
        for (const { partition, offset } of partitions) this.#acknowledged.add(`${partition} ${offset}`);
      }
    });
    this.#consumer.on(CRASH, ({ payload }) => {
      if (!payload.restart) this.#fail(kafkaFailure(payload.error, this.#doing, this.#client.place));
    });
    await this.#client.retrying(this.#doing, async () => {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topic: this.#topic, fromBeginning: true });
    });
    await this.#consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
  }

  /**
   * The first thing that joining does is to look for the group's coordinator, and nothing else in this consumer does: the
   * only place where kafkajs can be made to wait.
   */
  #beforeEachJoin(cluster: Cluster): void {
    const find = cluster.findGroupCoordinator.bind(cluster);
    cluster.findGroupCoordinator = async (group) => {
      await Promise.race([this.#revoke(), sleep(this.#times.rebalanceMs * 0.8, null, { ref: false })]);
      return find(group);
    };
  }

  get #doing(): string {
    return `read topic "${this.#topic}" as group "${this.#group}"`;
  }

  #give(partitions: readonly number[]): void {
    this.#assigned = partitions;
    // A task that ended by itself has done its partition, until the partition was somebody else's.
    for (const partition of this.#held.keys()) if (!partitions.includes(partition)) this.#held.delete(partition);
    if (this.#stopping) return;
    for (const partition of partitions) if (!this.#held.has(partition)) this.#start(partition);
  }

  #start(partition: number): void {
    const abort = new AbortController();
    const holding: Holding = {
      partition,
      signal: abort.signal,
      commit: (offset) => this.#commit(partition, offset, abort),
    };
    const run = async (): Promise<void> => {
      try {
        await this.#task(holding);
        held.ended = !abort.signal.aborted;
        this.#finishWhenAllEnded();
      } catch (error) {
        // Work that was taken away has not failed.
        if (!(abort.signal.aborted && isSluiceError(error, "E_CANCELLED"))) this.#fail(error);
      }
    };
    const held: Held = { abort, ended: false, done: Promise.resolve().then(run) };
    this.#held.set(partition, held);
  }

  #finishWhenAllEnded(): void {
    const all = this.#assigned.every((partition) => this.#held.get(partition)?.ended === true);
    if (all && this.#assigned.length > 0) this.#finish.abort();
  }

  /** Tells the tasks to end and waits for them. */
  async #revoke(): Promise<void> {
    const running = [...this.#held].filter(([, held]) => !held.ended);
    for (const [, { abort }] of running) abort.abort();
    await Promise.all(running.map(([, { done }]) => done));
    for (const [partition, held] of running) if (this.#held.get(partition) === held) this.#held.delete(partition);
  }

  async #commit(partition: number, offset: number, abort: AbortController): Promise<void> {
    const doing = `commit ${offset} of ${this.#topic}/${partition} for group "${this.#group}"`;
    const key = `${partition} ${offset}`;
    const attempt = async (): Promise<void> => {
      this.#acknowledged.delete(key);
      try {
        await this.#consumer.commitOffsets([{ topic: this.#topic, partition, offset: String(offset) }]);
      } catch (error) {
        if (isExpelled(error)) throw this.#lost(partition, abort, error);
        throw error;
      }
      if (this.#acknowledged.delete(key)) return;
      // kafkajs returns without an error where its consumer is just being restarted.
      throw new SluiceError("E_LOG_IO", `Expected to ${doing}, found the membership being renewed.`, {
        retryable: true,
      });
    };
    // Once the task is to end, nobody waits long for it.
    const bounds = abort.signal.aborted ? { patienceMs: LAST_COMMIT_MS } : { signal: abort.signal };
    await this.#client.retrying(doing, attempt, bounds);
  }

  #lost(partition: number, abort: AbortController, cause?: unknown): SluiceError {
    abort.abort();
    return new SluiceError(
      "E_CANCELLED",
      `${this.#topic}/${partition} is no longer this member's of group "${this.#group}": another one goes on from the last commit.`,
      { cause },
    );
  }

  /** After a failure that the client's own retries did not get over. */
  #mayRestart(): boolean {
    if (this.#stopping || this.#client.closed.aborted) return false;
    return performance.now() - this.#aliveMs < this.#client.policy().patienceMs;
  }
}
