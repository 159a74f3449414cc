import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import type { KafkaRight } from "../../../schemas/kafka-rights.js";
import type { LogIdentity } from "../../../schemas/stream-log.js";
import { inBatches, KafkaAppender } from "./append.js";
import { KafkaClient, type KafkaConnection } from "./client.js";
import { KafkaCursors } from "./cursor.js";
import { isOutOfRange, KafkaFetcher, type Fetched } from "./fetch.js";
import { KafkaMember, type GroupTimes } from "./group.js";
import { readKafkaPartition } from "./reader.js";
import { groupLags, groupStates, type GroupLag, type GroupState } from "./lag.js";
import { committedRecords, endOf } from "./records.js";
import {
  describeTopic,
  ensureTopic,
  offsetsAt,
  topicEnds,
  type TopicDescription,
  type TopicSettings,
} from "./topics.js";
import type { Assignment, Cursor, Log, LogBatch, PartitionEnds, ReadOptions } from "../log.js";

export interface KafkaLogOptions extends KafkaConnection {
  readonly group?: GroupTimes;
  /** Of topics that this log makes. Default 1; a cluster wants 3. */
  readonly replicationFactor?: number;
  /** Kafka's settings of a topic that this log makes, on top of kafka-topics.ts's */
  readonly topicSettings?: (topic: string) => TopicSettings;
  /** About how much one fetch brings of a partition, bytes. Twice that is held for each that is read. Default 2 MiB. */
  readonly fetchBytes?: number;
  /** Records are sent in batches of at most this; below the topic's max.message.bytes. Default 900 KiB (Kafka's is 1 MiB). */
  readonly maxBatchBytes?: number;
  /** Topics whose records are sent with gzip, whatever `compression` says. Default none. */
  readonly gzipTopics?: readonly string[];
  /** Where cursors are kept. Default "sluice-cursors". */
  readonly cursorTopic?: string;
}

/** Beyond the contract: what only Kafka has. */
export interface KafkaLog extends Log {
  /** As the contract's, with settings of Kafka's for a topic that is made here. */
  ensureTopic(topic: string, partitions: number, settings?: TopicSettings): Promise<void>;
  /** A topic as it is, with those of its settings that are named; null where there is none. */
  describeTopic(topic: string, settings: readonly string[]): Promise<TopicDescription | null>;
  /** Deletes the records of a partition below an offset. Throws E_LOG_ACCESS, E_LOG_IO. */
  deleteBefore(topic: string, partition: number, offset: number): Promise<void>;
  /** As `Assignment.read`, for those who follow a topic without being a group's member. Waits until `signal` aborts. */
  read(
    topic: string,
    partition: number,
    offset: number,
    options: ReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<LogBatch>;
  /** The offset that a group has committed in a partition, or null: for those who look on. */
  committed(group: string, topic: string, partition: number): Promise<number | null>;
  /** How far groups with members whose names begin with `prefix` are behind on a topic; those that have committed there. */
  groupLags(topic: string, prefix: string): Promise<readonly GroupLag[]>;
  /** The same, of groups without members too; of `partitions` alone, where a group reads no others */
  groupStates(topic: string, prefix: string, partitions?: readonly number[]): Promise<readonly GroupState[]>;
  /** By partition, records that are there and that nobody reads yet, since a transaction before them is not finished. */
  heldBack(topic: string): Promise<readonly number[]>;
  /** Of these rights those that this client lacks, as far as the brokers say (from 2.8 on). Prefixed ones are passed over. */
  lacking(rights: readonly KafkaRight[]): Promise<readonly KafkaRight[]>;
}

/**
 * Opens topics of a Kafka cluster (brokers 2.5 to 4.x) as a log. Throws E_LOG_ACCESS, or E_LOG_IO where no broker answers
 * within `openPatienceMs`.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  const client = new KafkaClient(options);
  try {
    await client.open();
    return new BrokerLog(client, options);
  } catch (error) {
    await client.close();
    throw error;
  }
}

class BrokerLog implements KafkaLog {
  readonly #client: KafkaClient;
  readonly #options: KafkaLogOptions;
  readonly #fetcher: KafkaFetcher;
  readonly #appender: KafkaAppender;
  readonly #cursors: KafkaCursors;
  readonly #fetchBytes: number;
  readonly #maxBatchBytes: number;

  constructor(client: KafkaClient, options: KafkaLogOptions) {
    const { maxBatchBytes = 900 * 1024, replicationFactor = 1 } = options;
    this.#client = client;
    this.#options = options;
    this.#fetchBytes = options.fetchBytes ?? 2 * 1024 * 1024;
    this.#fetcher = new KafkaFetcher(client);
    this.#appender = new KafkaAppender(client, options.gzipTopics);
    this.#maxBatchBytes = maxBatchBytes;
    this.#cursors = new KafkaCursors(client, this.#fetcher, this.#appender, {
      topic: options.cursorTopic ?? "sluice-cursors",
      replicationFactor,
    });
  }

  async ensureTopic(topic: string, partitions: number, settings: TopicSettings = {}): Promise<void> {
    const { replicationFactor = 1, topicSettings } = this.#options;
    const own = topicSettings?.(topic) ?? {};
    await ensureTopic(this.#client, topic, partitions, { replicationFactor, settings: { ...own, ...settings } });
  }

  async describeTopic(topic: string, settings: readonly string[]): Promise<TopicDescription | null> {
    return describeTopic(this.#client, topic, settings);
  }

  async identity(topic: string): Promise<LogIdentity> {
    const id = await this.#client.retrying(`identify topic "${topic}"`, () => this.#fetcher.topicId(topic), { topic });
    return { kind: "kafka", id };
  }

  async deleteBefore(topic: string, partition: number, offset: number): Promise<void> {
    await this.#client.administer(
      `delete records of "${topic}"`,
      (admin) => admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] }),
      { needs: { operation: "Delete", resource: "topic", name: topic } },
    );
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    return topicEnds(this.#client, topic);
  }

  async offsetsAt(topic: string, timestampMs: number): Promise<readonly number[]> {
    return offsetsAt(this.#client, topic, timestampMs);
  }

  async groupLags(topic: string, prefix: string): Promise<readonly GroupLag[]> {
    return groupLags(this.#client, topic, prefix);
  }

  async groupStates(topic: string, prefix: string, partitions?: readonly number[]): Promise<readonly GroupState[]> {
    return groupStates(this.#client, topic, prefix, partitions === undefined ? {} : { partitions });
  }

  async lacking(rights: readonly KafkaRight[]): Promise<readonly KafkaRight[]> {
    const places = new Map<string, KafkaRight[]>();
    for (const right of rights) {
      if (right.pattern !== "literal") continue;
      const place = `${right.resource} ${right.name}`;
      places.set(place, [...(places.get(place) ?? []), right]);
    }
    const missing: KafkaRight[] = [];
    for (const [place, own] of places)
      missing.push(
        ...(await this.#client.retrying(`look at the rights on ${place}`, () => this.#fetcher.lacking(own))),
      );
    return missing;
  }

  async heldBack(topic: string): Promise<readonly number[]> {
    const ends = await this.ends(topic);
    const held = ends.map(async ({ end: offset }, partition) => {
      const place = { topic, partition, offset, maxBytes: 1 };
      const fetched = await this.#client.retrying(`look at ${topic}/${partition}`, () => this.#fetcher.fetch(place), {
        topic,
        needs: { operation: "Read", resource: "topic", name: topic },
      });
      return Math.max(0, fetched.logEnd - offset);
    });
    return Promise.all(held);
  }

  async append(topic: string, partition: number, records: readonly LogRecord[], cursor?: Cursor): Promise<number> {
    const batches = inBatches(records, this.#maxBatchBytes);
    const [first] = await this.#appender.append(topic, partition, batches);
    if (cursor !== undefined) await this.#cursors.note(cursor);
    return first ?? (await this.#bounds(topic, partition)).end;
  }

  async cursor(name: string): Promise<string | null> {
    return this.#cursors.read(name);
  }

  async fetch(topic: string, partition: number, offsets: readonly number[]): Promise<readonly StoredRecord[]> {
    const wanted = [...new Set(offsets)].sort((a, b) => a - b);
    const found: StoredRecord[] = [];
    let end = Infinity;
    while (wanted.length > 0) {
      const offset = wanted[0]!;
      const { start, end: now } = await this.#bounds(topic, partition);
      end = Math.min(end, now);
      if (offset < start || offset >= end) {
        wanted.shift();
        continue;
      }
      const attempt = async (): Promise<Fetched | null> => {
        try {
          return await this.#fetcher.fetch({ topic, partition, offset, maxBytes: this.#fetchBytes });
        } catch (error) {
          // Retention has just taken it.
          if (isOutOfRange(error)) return null;
          throw error;
        }
      };
      const fetched = await this.#client.retrying(`fetch from ${topic}/${partition}`, attempt, {
        topic,
        needs: { operation: "Read", resource: "topic", name: topic },
      });
      const to = fetched === null ? null : endOf(fetched.raw);
      const records = fetched === null ? [] : committedRecords(fetched.raw, fetched.aborted, offset);
      const passed = new Set(wanted.filter((one) => one === offset || (to !== null && one < to)));
      wanted.splice(0, passed.size);
      for (const record of records) if (passed.has(record.offset)) found.push(record);
    }
    return found;
  }

  async consume(
    topic: string,
    group: string,
    task: (assignment: Assignment) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const member = new KafkaMember(this.#client, topic, group, this.#options.group ?? {}, async (holding) => {
      const { partition, signal: given } = holding;
      await task({
        partition,
        signal: given,
        read: (offset, options) => this.read(topic, partition, offset, options, given),
        commit: (offset) => holding.commit(offset),
        committed: () => this.committed(group, topic, partition),
      });
    });
    await member.run(signal);
  }

  read(
    topic: string,
    partition: number,
    offset: number,
    options: ReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<LogBatch> {
    const reading = { client: this.#client, fetcher: this.#fetcher, topic, partition, signal };
    return readKafkaPartition({ ...reading, fetchBytes: this.#fetchBytes }, offset, options);
  }

  async committed(group: string, topic: string, partition: number): Promise<number | null> {
    const found = await this.#client.administer(
      `read the commits of group "${group}"`,
      (admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }),
      { topic, needs: { operation: "Describe", resource: "group", name: group } },
    );
    const offset = found[0]?.partitions.find((one) => one.partition === partition)?.offset;
    return offset === undefined || Number(offset) < 0 ? null : Number(offset);
  }

  async #bounds(topic: string, partition: number): Promise<PartitionEnds> {
    const bounds = (await topicEnds(this.#client, topic))[partition];
    if (bounds !== undefined) return bounds;
    throw new SluiceError(
      "E_LOG_IO",
      `Expected a partition ${partition} of topic "${topic}" in ${this.#client.place}, found none.`,
    );
  }

  async close(): Promise<void> {
    // First, so that nothing goes on trying.
    await this.#client.close();
    await Promise.all([this.#appender.close(), this.#fetcher.close()]);
  }
}
