import kafkajs from "kafkajs";
import type { Message, Producer, RecordMetadata } from "kafkajs";
import { SluiceError } from "../../schemas/errors.js";
import type { LogRecord } from "../../schemas/image-record.js";
import { disconnectQuietly, type KafkaClient } from "./kafka-client.js";
import { COMPRESSION_TYPE } from "./kafka-codecs.js";
import { typeOf } from "./kafka-errors.js";
import { outgoing, sizeOf } from "./kafka-records.js";

/** After these the producer's count of its own records no longer agrees with the broker's. */
const BROKEN_SEQUENCE = new Set([
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "DUPLICATE_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
]);

/** Records in the groups that are sent as one batch each: as many as fit into `maxBytes`, one at least. */
export function* inMessageBatches(
  records: readonly LogRecord[],
  partition: number,
  maxBytes: number,
): Generator<Message[]> {
  let batch: Message[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = sizeOf(record);
    if (batch.length > 0 && bytes + size > maxBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(outgoing(record, partition));
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** The offset that the first record of a batch got. kafkajs sends nothing, and says nothing, for an unknown partition. */
export function firstOffset(sent: readonly RecordMetadata[], topic: string, partition: number, place: string): number {
  const offset = sent.find((one) => one.topicName === topic && one.partition === partition)?.baseOffset;
  if (offset !== undefined && offset !== "-1") return Number(offset);
  throw new SluiceError("E_LOG_IO", `Expected a partition ${partition} of topic "${topic}" in ${place}, found none.`, {
    topic,
    partition,
  });
}

/**
 * Appends through one idempotent producer: what is sent again after a lost answer is not doubled. One batch of a partition
 * is under way at a time: kafkajs counts a failed batch's numbers back, and with two under way the other would get them.
 */
export class KafkaAppender {
  readonly #client: KafkaClient;
  readonly #maxBatchBytes: number;
  readonly #turns = new Map<string, Promise<unknown>>();
  #current: Lease | null = null;

  constructor(client: KafkaClient, maxBatchBytes: number) {
    this.#client = client;
    this.#maxBatchBytes = maxBatchBytes;
  }

  /** Returns the first record's offset. `records` are not empty. */
  async append(topic: string, partition: number, records: readonly LogRecord[]): Promise<number> {
    const key = `${partition} ${topic}`;
    const earlier = this.#turns.get(key) ?? Promise.resolve();
    const turn = earlier.then(() => this.#send(topic, partition, records));
    const settled = turn.catch(() => undefined);
    this.#turns.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }

  async #send(topic: string, partition: number, records: readonly LogRecord[]): Promise<number> {
    let first: number | null = null;
    for (const messages of inMessageBatches(records, partition, this.#maxBatchBytes)) {
      const offset = await this.#sendBatch(topic, partition, messages);
      first ??= offset;
    }
    return first ?? 0;
  }

  async #sendBatch(topic: string, partition: number, messages: Message[]): Promise<number> {
    const { compression, place } = this.#client;
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
      return await this.#client.retrying(`append to ${topic}/${partition}`, attempt, { topic });
    } catch (error) {
      // Whether the batch arrived is not known, and so not which number the partition's next one has to have.
      const unknown = error instanceof SluiceError && (error.retryable || BROKEN_SEQUENCE.has(typeOf(error.cause)));
      if (unknown && this.#current === lease) this.#current = null;
      throw error;
    } finally {
      lease.users--;
      if (lease.users === 0 && this.#current !== lease) await lease.end();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#turns.values());
    await this.#current?.end();
    this.#current = null;
  }
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
      disconnectQuietly(Promise.resolve(producer));
      throw error;
    }
  }

  async end(): Promise<void> {
    await this.#connecting?.then((producer) => producer.disconnect()).catch(() => undefined);
  }
}
