import kafkajs from "kafkajs";
import type { Producer, RecordMetadata } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord } from "../../../schemas/image-record.js";
import { disconnectQuietly, type KafkaClient } from "./client.js";
import { COMPRESSION_TYPE } from "./codecs.js";
import { typeOf } from "./errors.js";
import { outgoing, sizeOf } from "./records.js";
import { InTurn } from "../../in-turn.js";

/** After these the producer's count of its own records no longer agrees with the broker's. */
const BROKEN_SEQUENCE = new Set([
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "DUPLICATE_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
]);

/** Records in the groups that are sent as one batch each: as many as fit into `maxBytes`, one at least. */
export function inBatches(records: readonly LogRecord[], maxBytes: number): LogRecord[][] {
  const batches: LogRecord[][] = [];
  let bytes = Infinity;
  for (const record of records) {
    const size = sizeOf(record);
    if (bytes + size > maxBytes) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(record);
    bytes += size;
  }
  return batches;
}

/**
 * Appends through one idempotent producer: what is sent again after a lost answer is not doubled. One batch of a partition
 * is under way at a time: kafkajs counts a failed batch's numbers back, and with two under way the other would get them.
 */
export class KafkaAppender {
  readonly #client: KafkaClient;
  readonly #gzipTopics: ReadonlySet<string>;
  readonly #turns = new InTurn();
  #current: Lease | null = null;

  constructor(client: KafkaClient, gzipTopics: readonly string[] = []) {
    this.#client = client;
    this.#gzipTopics = new Set(gzipTopics);
  }

  /**
   * Appends batches, each whole or not at all, with nothing of this process between them; returns each one's first offset.
   * An error that is retryable leaves open whether the batch that failed is there.
   */
  async append(topic: string, partition: number, batches: readonly (readonly LogRecord[])[]): Promise<number[]> {
    const key = `${partition} ${topic}`;
    return this.#turns.run(async () => {
      const firsts: number[] = [];
      for (const batch of batches) firsts.push(await this.#send(topic, partition, batch));
      return firsts;
    }, key);
  }

  async #send(topic: string, partition: number, records: readonly LogRecord[], anew = false): Promise<number> {
    const { place } = this.#client;
    const compression = this.#gzipTopics.has(topic) ? "gzip" : this.#client.compression;
    const nowMs = Date.now();
    const messages = records.map((record) => outgoing(record, partition, nowMs));
    // Through all attempts the same producer: only it can tell these records from new ones.
    const lease = (this.#current ??= new Lease(this.#client));
    lease.users++;
    try {
      const attempt = async (): Promise<number> => {
        const producer = await lease.producer();
        const acks = -1;
        const sent = await producer.send({ topic, acks, compression: COMPRESSION_TYPE[compression], messages });
        return firstOffset(sent, topic, partition, place);
      };
      return await this.#client.retrying(`append to ${topic}/${partition}`, attempt, {
        topic,
        needs: { operation: "Write", resource: "topic", name: topic },
      });
    } catch (error) {
      // Whether the batch arrived is not known, and so not which number the partition's next one has to have.
      const unknown = error instanceof SluiceError && (error.retryable || BROKEN_SEQUENCE.has(typeOf(error)));
      // The producer may have asked for the topic's partitions before some were added: nothing was sent.
      const unsent = error instanceof SluiceError && error.context["unsent"] === true;
      if ((unknown || unsent) && this.#current === lease) this.#current = null;
      if (unsent && !anew) return await this.#send(topic, partition, records, true);
      throw error;
    } finally {
      lease.users--;
      if (lease.users === 0 && this.#current !== lease) await lease.end();
    }
  }

  async close(): Promise<void> {
    await this.#turns.idle();
    await this.#current?.end();
    this.#current = null;
  }
}

/** kafkajs sends nothing, and says nothing, for a partition that is not there. */
function firstOffset(sent: readonly RecordMetadata[], topic: string, partition: number, place: string): number {
  const offset = sent.find((one) => one.topicName === topic && one.partition === partition)?.baseOffset;
  if (offset !== undefined && offset !== "-1") return Number(offset);
  throw new SluiceError("E_LOG_IO", `Expected a partition ${partition} of topic "${topic}" in ${place}, found none.`, {
    topic,
    partition,
    unsent: true,
  });
}

/** A producer, connected when it is first needed, and how many appends use it. */
class Lease {
  users = 0;
  readonly #client: KafkaClient;
  #connecting: Promise<Producer> | null = null;

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  producer(): Promise<Producer> {
    this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = null;
      throw error;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Producer> {
    const producer = this.#client.kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      metadataMaxAge: this.#client.metadataMaxAgeMs,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    try {
      await producer.connect();
      return producer;
    } catch (error) {
      void disconnectQuietly(Promise.resolve(producer));
      throw error;
    }
  }

  async end(): Promise<void> {
    await disconnectQuietly(this.#connecting);
  }
}
