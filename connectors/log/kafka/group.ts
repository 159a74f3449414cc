import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import type { Cluster, Consumer } from "kafkajs";
import { isSluiceError, messageOf, SluiceError } from "../../../schemas/errors.js";
import type { KafkaClient } from "./client.js";
import { isExpelled, kafkaFailure, typeOf, type KafkaNeed } from "./errors.js";
import { disconnectQuietly } from "./client.js";
import { coordinatorOf } from "./coordinator.js";

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
/** How long a commit goes on trying once its task is to end: of what it says done nothing is read again elsewhere. */
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
  /** Whether kafkajs is between asking to join and having joined */
  #joining = false;
  #aliveMs = performance.now();
  /** The group's, as of the first sign of life after joining */
  #generation: number | null = null;
  #anew = false;
  #stopping = false;
  #left = false;

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
      // As long as it goes on trying it is the same member, for whom a broker's restart is no rebalance.
      retry: {
        retries: Math.ceil(client.patienceMs / 1_000) + 5,
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
      await Promise.race([this.#leave(), sleep(LEAVE_WITHIN_MS, null, { ref: false })]);
      this.#left = true;
    }
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** kafkajs's consumer cannot be told to leave while it joins. */
  async #leave(): Promise<void> {
    while (this.#joining) await sleep(20);
    await disconnectQuietly(Promise.resolve(this.#consumer));
  }

  #fail(error: unknown): void {
    this.#failures.push(error);
    this.#finish.abort();
  }

  async #join(): Promise<void> {
    const { GROUP_JOIN, HEARTBEAT, CRASH, COMMIT_OFFSETS } = this.#consumer.events;
    this.#consumer.on(HEARTBEAT, ({ payload }) => {
      this.#joining = false;
      this.#aliveMs = performance.now();
      this.#generation ??= payload.groupGenerationId;
      // The membership holds, also where joining was begun and failed (a broker that went away) or no sign of life got
      // through for long: the tasks that were ended for that go on.
      if (payload.groupGenerationId === this.#generation) this.#give(this.#assigned);
      else void this.#joinAnew();
    });
    this.#consumer.on(GROUP_JOIN, ({ payload }) => {
      this.#joining = false;
      this.#generation = null;
      // Thrown into kafkajs, which then gives up joining: it would go on for ever in a consumer that is disconnected.
      if (this.#left) throw new SluiceError("E_CANCELLED", `The membership in group "${this.#group}" has ended.`);
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
      this.#joining = false;
      if (!payload.restart) void this.#runAgain(this.#failure(payload.error));
    });
    await this.#client.retrying(
      this.#doing,
      async () => {
        await this.#consumer.connect();
        await this.#consumer.subscribe({ topic: this.#topic, fromBeginning: true });
      },
      { needs: { operation: "Read", resource: "topic", name: this.#topic } },
    );
    await this.#run();
  }

  async #run(): Promise<void> {
    await this.#consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
  }

  /** kafkajs has joined a generation without having heard what it was given. */
  async #joinAnew(): Promise<void> {
    if (this.#stopping || this.#anew) return;
    this.#anew = true;
    await this.#revoke();
    // What it fails with, it fails with again when it is run.
    await Promise.allSettled([this.#consumer.stop()]);
    this.#anew = false;
    this.#generation = null;
    this.#assigned = [];
    if (this.#isStopping()) return;
    await this.#run().catch((error: unknown) => {
      this.#fail(this.#failure(error));
    });
  }

  /** It may begin at any `await`. */
  #isStopping(): boolean {
    return this.#stopping;
  }

  /** kafkajs gives up on some errors that pass, such as a coordinator that a starting broker does not know yet. */
  async #runAgain(failure: SluiceError): Promise<void> {
    if (failure.retryable && this.#mayRestart()) {
      await sleep(500);
      if (this.#isStopping()) return;
      await this.#run().catch((error: unknown) => {
        this.#fail(this.#failure(error));
      });
    } else this.#fail(failure);
  }

  /**
   * The first thing that joining does is to look for the group's coordinator, and nothing else in this consumer does: the
   * only place where kafkajs can be made to wait.
   */
  #beforeEachJoin(cluster: Cluster): void {
    const find = cluster.findGroupCoordinator.bind(cluster);
    cluster.findGroupCoordinator = async (group) => {
      if (this.#stopping) throw new SluiceError("E_CANCELLED", `The membership in group "${this.#group}" has ended.`);
      this.#joining = true;
      await Promise.race([this.#revoke(), sleep(this.#times.rebalanceMs * 0.8, null, { ref: false })]);
      try {
        return await find(group);
      } catch (error) {
        this.#joining = false;
        if ((error as Error | null)?.name !== "KafkaJSGroupCoordinatorNotFound") throw error;
        return await coordinatorOf(cluster, this.#group);
      }
    };
  }

  /** What joining or heartbeats fail with. */
  #failure(error: unknown): SluiceError {
    const ofGroup = typeOf(error) === "GROUP_AUTHORIZATION_FAILED";
    const on = ofGroup ? { resource: "group", name: this.#group } : { resource: "topic", name: this.#topic };
    return kafkaFailure(error, this.#doing, this.#client.place, { operation: "Read", ...on } as KafkaNeed);
  }

  get #doing(): string {
    return `read topic "${this.#topic}" as group "${this.#group}"`;
  }

  #give(partitions: readonly number[]): void {
    this.#assigned = partitions;
    // A task that ended by itself has done its partition, until the partition was somebody else's.
    for (const [partition, { abort }] of this.#held) {
      if (partitions.includes(partition)) continue;
      abort.abort();
      this.#held.delete(partition);
    }
    if (this.#stopping || this.#anew) return;
    for (const partition of partitions) if (!this.#held.has(partition)) this.#start(partition);
  }

  #start(partition: number): void {
    const abort = new AbortController();
    const late = soonAfter(abort.signal, LAST_COMMIT_MS);
    const holding: Holding = {
      partition,
      signal: abort.signal,
      commit: (offset) => this.#commit(partition, offset, abort, late),
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

  async #commit(partition: number, offset: number, abort: AbortController, late: AbortSignal): Promise<void> {
    const doing = `commit ${offset} of ${this.#topic}/${partition} for group "${this.#group}"`;
    const key = `${partition} ${offset}`;
    // A rebalance waits for the task, and so for a commit that is under way as the task is told to end; kafkajs goes on
    // trying behind.
    const signal = abort.signal.aborted ? AbortSignal.timeout(LAST_COMMIT_MS) : late;
    const attempt = async (): Promise<void> => {
      this.#acknowledged.delete(key);
      // kafkajs throws, or returns without an error, while its consumer is being started again.
      const committing = this.#consumer
        .commitOffsets([{ topic: this.#topic, partition, offset: String(offset) }])
        .catch((error: unknown) => {
          if (!/not initialized/.test(messageOf(error))) throw error;
        });
      await untilAborted(committing, signal);
      if (this.#acknowledged.delete(key)) return;
      throw new SluiceError("E_LOG_IO", `Expected to ${doing}, found the membership being renewed.`, {
        retryable: true,
      });
    };
    try {
      const needs = { operation: "Read", resource: "group", name: this.#group } as const;
      await this.#client.retrying(doing, attempt, { signal, needs });
    } catch (error) {
      if (isExpelled(error)) abort.abort();
      if (!abort.signal.aborted) throw error;
      throw new SluiceError(
        "E_CANCELLED",
        `${this.#topic}/${partition} is no longer this member's of group "${this.#group}": another one goes on from the last commit.`,
        { cause: error },
      );
    }
  }

  /** After a failure that the client's own retries did not get over. */
  #mayRestart(): boolean {
    if (this.#stopping || this.#client.closed.aborted) return false;
    return performance.now() - this.#aliveMs < this.#client.patienceMs;
  }
}

/** Aborts `delayMs` after `signal` does. */
function soonAfter(signal: AbortSignal, delayMs: number): AbortSignal {
  const late = new AbortController();
  const abort = (): void => {
    setTimeout(() => {
      late.abort();
    }, delayMs).unref();
  };
  signal.addEventListener("abort", abort, { once: true });
  return late.signal;
}

/** Waits for `work`, but not after `signal` has aborted. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let leave = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    leave = resolve;
  });
  signal.addEventListener("abort", leave, { once: true });
  try {
    if (!signal.aborted) await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
