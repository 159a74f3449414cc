import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import type { Broker, Cluster, Consumer } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";
import type { KafkaRight } from "../../../schemas/kafka-rights.js";
import { coordinatorOf } from "./coordinator.js";
import { disconnectQuietly, type KafkaClient } from "./client.js";
import { typeOf } from "./errors.js";
import type { AbortedTransaction, RawRecord } from "./records.js";
import { lackingOnGroup, lackingOnTopic } from "./rights.js";
import { topicMetadata, UNKNOWN_TOPIC } from "./topic-metadata.js";

/** What one request has brought of one partition. */
export interface Fetched {
  /** In log order, control records and aborted ones included; empty where there was nothing (yet) */
  readonly raw: readonly RawRecord[];
  readonly aborted: readonly AbortedTransaction[];
  /** Where the log ends now */
  readonly logEnd: number;
}

export interface FetchPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** About how much to bring; at least one batch of records comes. */
  readonly maxBytes: number;
}

interface Want extends FetchPlace {
  /** null: ask again, the request failed because of another partition in it */
  readonly resolve: (fetched: Fetched | null) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a broker may hold a request for a partition that has nothing new; another's turn comes after it at the latest. */
const MAX_WAIT_MS = 100;

/** The client's answer to a fetch, of which its types say nothing */
interface FetchResponse {
  readonly responses: readonly {
    readonly topicName: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly highWatermark: string;
      readonly abortedTransactions: readonly AbortedTransaction[] | null;
      readonly messages: readonly RawRecord[];
    }[];
  }[];
}

/**
 * Reads partitions directly, without a consumer group: one request a broker at a time, for all partitions that are waited
 * for. Nothing is fetched that nobody asked for, so a slow reader holds back its own partition only.
 *
 * Built on `Cluster` and `Broker` of the client's public types. kafkajs hands them to partition assigners only; the
 * consumer made for that never joins a group.
 */
export class KafkaFetcher {
  readonly #client: KafkaClient;
  #connecting: Promise<{ cluster: Cluster; consumer: Consumer }> | null = null;
  /** By broker and isolation; a key that is there has a round under way. */
  readonly #wants = new Map<string, Want[]>();

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  /**
   * Records from an offset on, or none after a short wait. Any error is the client's own: `OFFSET_OUT_OF_RANGE` where the
   * log has no such offset.
   */
  async fetch(place: FetchPlace): Promise<Fetched> {
    const { topic, partition } = place;
    const { cluster } = await this.#connect();
    // Where the topic is unknown the client takes it back from those it asks for, and others can be read on.
    await cluster.addTargetTopic(topic).catch((error: unknown) => {
      if (typeOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION") this.#forget();
      throw error;
    });
    try {
      await cluster.refreshMetadataIfNecessary();
      const leaderNow = (): string | undefined => Object.keys(cluster.findLeaderForPartitions(topic, [partition]))[0];
      let leader = leaderNow();
      if (leader === undefined) {
        // It may have been added since the topic's partitions were asked for.
        await cluster.refreshMetadata();
        leader = leaderNow();
      }
      if (leader === undefined) {
        throw new SluiceError(
          "E_LOG_IO",
          `Expected a partition ${partition} of topic "${topic}" in ${this.#client.place}, found none.`,
        );
      }
      for (;;) {
        const fetched = await new Promise<Fetched | null>((resolve, reject) => {
          this.#want(cluster, leader, { ...place, resolve, reject });
        });
        if (fetched !== null) return fetched;
      }
    } catch (error) {
      // Connections, leaders or metadata may be of yesterday: the next attempt starts anew.
      if (!isOutOfRange(error)) this.#forget();
      throw error;
    }
  }

  /** What the brokers call a topic since it was made; null where they have no such ids. Throws E_LOG_IO where there is no such topic. */
  async topicId(topic: string): Promise<string | null> {
    return this.#asking(async (cluster) => {
      // Else the client knows of no broker yet.
      await cluster.addTargetTopic(topic);
      const found = await topicMetadata(await cluster.findControllerBroker(), topic);
      if (found === null || found.id !== null) return found?.id ?? null;
      const { errorCode } = found;
      throw new SluiceError(
        "E_LOG_IO",
        `Expected the id of topic "${topic}", found ${errorCode === UNKNOWN_TOPIC ? "no such topic" : `error ${errorCode} of Kafka`}.`,
        { topic, errorCode, retryable: true },
      );
    });
  }

  /** Of the rights on one topic, or on one group, those that this client lacks, as far as the brokers say. */
  async lacking(rights: readonly KafkaRight[]): Promise<readonly KafkaRight[]> {
    const first = rights[0];
    if (first === undefined) return [];
    const { resource, name } = first;
    return this.#asking(async (cluster) => {
      await cluster.refreshMetadataIfNecessary();
      if (resource === "topic") return lackingOnTopic(await cluster.findControllerBroker(), name, rights);
      try {
        return await lackingOnGroup(await coordinatorOf(cluster, name), name, rights);
      } catch (error) {
        if (typeOf(error) !== "GROUP_AUTHORIZATION_FAILED") throw error;
        return rights;
      }
    });
  }

  async #asking<T>(ask: (cluster: Cluster) => Promise<T>): Promise<T> {
    const { cluster } = await this.#connect();
    try {
      return await ask(cluster);
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #want(cluster: Cluster, leader: string, want: Want): void {
    const waiting = this.#wants.get(leader);
    if (waiting !== undefined) {
      waiting.push(want);
      return;
    }
    const wants = [want];
    this.#wants.set(leader, wants);
    void this.#rounds(cluster, leader, wants);
  }

  async #rounds(cluster: Cluster, leader: string, wants: Want[]): Promise<void> {
    while (wants.length > 0) {
      const now = takeOnePerPartition(wants);
      try {
        await this.#round(await cluster.findBroker({ nodeId: leader }), now);
      } catch (error) {
        for (const want of now) want.reject(error);
      }
    }
    this.#wants.delete(leader);
  }

  async #round(broker: Broker, wants: readonly Want[]): Promise<void> {
    const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>();
    for (const { topic, partition, offset, maxBytes } of wants) {
      const partitions = topics.get(topic) ?? [];
      topics.set(topic, partitions);
      partitions.push({ partition, fetchOffset: String(offset), maxBytes });
    }
    let response: FetchResponse;
    try {
      response = (await broker.fetch({
        maxWaitTime: MAX_WAIT_MS,
        minBytes: 1,
        maxBytes: wants.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
        // Committed records alone
        isolationLevel: 1,
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      })) as FetchResponse;
    } catch (error) {
      // One partition's error fails the client's whole answer: the others ask again.
      const { topic, partition } = error as { topic?: string; partition?: number };
      for (const want of wants) {
        if (!isOutOfRange(error) || (want.topic === topic && want.partition === partition)) want.reject(error);
        else want.resolve(null);
      }
      return;
    }
    // A topic may be in it more than once: brokers put partitions together only where they follow on each other.
    const answered = response.responses.flatMap(({ topicName, partitions }) =>
      partitions.map((one) => ({ topicName, ...one })),
    );
    for (const want of wants) {
      const found = answered.find((one) => one.topicName === want.topic && one.partition === want.partition);
      if (found === undefined) want.reject(lacking(want, answered));
      else {
        want.resolve({
          raw: found.messages,
          aborted: found.abortedTransactions ?? [],
          logEnd: Number(found.highWatermark),
        });
      }
    }
  }

  #connect(): Promise<{ cluster: Cluster; consumer: Consumer }> {
    this.#connecting ??= this.#open().catch((error: unknown) => {
      this.#connecting = null;
      throw error;
    });
    return this.#connecting;
  }

  async #open(): Promise<{ cluster: Cluster; consumer: Consumer }> {
    const taken: Cluster[] = [];
    const consumer = this.#client.kafka.consumer({
      groupId: `sluice-no-group-${randomUUID()}`,
      metadataMaxAge: this.#client.metadataMaxAgeMs,
      allowAutoTopicCreation: false,
      partitionAssigners: [
        (config) => {
          taken.push(config.cluster);
          return kafkajs.PartitionAssigners.roundRobin(config);
        },
      ],
    });
    await consumer.connect();
    const cluster = taken[0];
    if (cluster === undefined) throw new SluiceError("E_INTERNAL", "kafkajs no longer hands its cluster to assigners.");
    return { cluster, consumer };
  }

  #forget(): void {
    const connecting = this.#connecting;
    this.#connecting = null;
    if (connecting !== null) void disconnectQuietly(connecting.then(({ consumer }) => consumer));
  }

  async close(): Promise<void> {
    const connecting = this.#connecting;
    this.#connecting = null;
    if (connecting !== null) await disconnectQuietly(connecting.then(({ consumer }) => consumer));
  }
}

function lacking(
  { topic, partition }: FetchPlace,
  answered: readonly { readonly topicName: string; readonly partition: number }[],
): SluiceError {
  const names = answered.map((one) => `${one.topicName}/${one.partition}`).join(", ");
  return new SluiceError(
    "E_INTERNAL",
    `Expected ${topic}/${partition} in a fetch's answer, found ${names === "" ? "nothing" : names}.`,
  );
}

/** A request may name a partition once: another reader of the same one waits for the next. */
function takeOnePerPartition(wants: Want[]): Want[] {
  const taken = new Map<string, Want>();
  const left: Want[] = [];
  for (const want of wants.splice(0)) {
    const key = `${want.partition} ${want.topic}`;
    if (taken.has(key)) left.push(want);
    else taken.set(key, want);
  }
  wants.push(...left);
  return [...taken.values()];
}

export function isOutOfRange(error: unknown): boolean {
  return (error as { type?: string } | null)?.type === "OFFSET_OUT_OF_RANGE";
}
