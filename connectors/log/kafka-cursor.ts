import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import type { Producer } from "kafkajs";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { LogRecord } from "../../schemas/image-record.js";
import { firstOffset, inMessageBatches } from "./kafka-append.js";
import { disconnectQuietly, type KafkaClient } from "./kafka-client.js";
import { COMPRESSION_TYPE } from "./kafka-codecs.js";
import { isTransactionLost, isUnknownTopic, typeOf } from "./kafka-errors.js";
import type { KafkaFetcher } from "./kafka-fetch.js";
import { endOf, endsTransaction } from "./kafka-records.js";
import { ensureTopic, topicEnds } from "./kafka-topics.js";
import type { Cursor } from "./log.js";

/** What the cursor topic holds under a cursor's name. */
interface StoredCursor {
  readonly value: string;
  /** Names the append that stored it, so that its outcome can be found out when its answer was lost */
  readonly append: string;
  /** Where that append's first record went */
  readonly offset: number;
}

export interface CursorSettings {
  /** A compacted topic of one partition; made where it is absent */
  readonly topic: string;
  readonly replicationFactor: number;
  /** Stands before the cursor's name in Kafka's transactional id: access rules can name it. */
  readonly transactionPrefix: string;
  /** After this a transaction whose producer has gone silent is undone, ms. Until then readers wait at it. */
  readonly transactionTimeoutMs: number;
  readonly maxBatchBytes: number;
}

/** How long a reader of a cursor waits for a transaction that is just being ended. */
const ENDING_MS = 3_000;

/**
 * Appends that store a cursor with their records: one Kafka transaction over both. Its producer's transactional id is the
 * cursor's name, so that of two processes with one cursor Kafka shuts the older one out. After any error the producer is
 * thrown away; the new one's first request makes Kafka end what the old one left open, and the cursor topic then says
 * whether the append had come about. Readers see records of ended transactions alone (`read_committed`).
 */
export class KafkaCursors {
  readonly #client: KafkaClient;
  readonly #fetcher: KafkaFetcher;
  readonly #settings: CursorSettings;
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #producers = new Map<string, Producer>();
  /** The stored cursor (null: none) as this process last saw or wrote it, under its name */
  readonly #known = new Map<string, StoredCursor | null>();
  #topicMade: Promise<void> | null = null;

  constructor(client: KafkaClient, fetcher: KafkaFetcher, settings: CursorSettings) {
    this.#client = client;
    this.#fetcher = fetcher;
    this.#settings = settings;
  }

  /** Does not disturb a producer that is at work under this cursor. */
  async read(name: string): Promise<string | null> {
    return this.#inTurn(name, async () => {
      if (this.#producers.has(name)) return this.#known.get(name)?.value ?? null;
      const stored = await this.#stored(name);
      this.#known.set(name, stored);
      return stored?.value ?? null;
    });
  }

  /** Returns the first record's offset. Throws E_LOG_IO where another process has appended under the cursor meanwhile. */
  async append(topic: string, partition: number, records: readonly LogRecord[], cursor: Cursor): Promise<number> {
    return this.#inTurn(cursor.name, async () => {
      const append = randomUUID();
      const { name } = cursor;
      const doing = `append to ${topic}/${partition} with cursor "${name}"`;
      const attempt = async (): Promise<number> => {
        const producer = this.#producers.get(name) ?? (await this.#begin(name, append));
        // The answer to an earlier attempt was lost, but the append came about.
        if (producer === "done") return this.#known.get(name)?.offset ?? 0;
        try {
          return await this.#transact(producer, topic, partition, records, { ...cursor, append });
        } catch (error) {
          this.#producers.delete(name);
          disconnectQuietly(Promise.resolve(producer));
          // A new producer finds out what has become of it.
          throw isTransactionLost(error) ? lost(error, doing, this.#client.place) : error;
        }
      };
      return this.#client.retrying(doing, attempt, { topic });
    });
  }

  async #transact(
    producer: Producer,
    topic: string,
    partition: number,
    records: readonly LogRecord[],
    { name, value, append }: Cursor & { append: string },
  ): Promise<number> {
    const { maxBatchBytes, topic: cursorTopic } = this.#settings;
    const compression = COMPRESSION_TYPE[this.#client.compression];
    const transaction = await producer.transaction();
    try {
      let first: number | null = null;
      for (const messages of inMessageBatches(records, partition, maxBatchBytes)) {
        const sent = await transaction.send({ topic, acks: -1, compression, messages });
        first ??= firstOffset(sent, topic, partition, this.#client.place);
      }
      const offset = first ?? (await topicEnds(this.#client, topic))[partition]?.end ?? 0;
      const stored: StoredCursor = { value, append, offset };
      await transaction.send({
        topic: cursorTopic,
        acks: -1,
        messages: [{ partition: 0, key: name, value: JSON.stringify(stored) }],
      });
      await transaction.commit();
      this.#known.set(name, stored);
      return offset;
    } catch (error) {
      // So that readers need not wait for its time to run out; where this fails, the next producer's start ends it.
      await transaction.abort().catch(() => undefined);
      throw error;
    }
  }

  /**
   * A new producer for a cursor, after whose first transaction request nothing of an older one is left open. "done" where
   * `append` is what the cursor's last append was.
   */
  async #begin(name: string, append: string): Promise<Producer | "done"> {
    await this.#makeTopic();
    const producer = this.#client.kafka.producer({
      transactionalId: `${this.#settings.transactionPrefix}${name}`,
      transactionTimeout: this.#settings.transactionTimeoutMs,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      metadataMaxAge: this.#client.metadataMaxAgeMs,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    try {
      await producer.connect();
      // Empty, so that Kafka is asked for the producer's number, and ends the old one's transaction first.
      await (await producer.transaction()).abort();
      const known = this.#known.get(name);
      const stored = await this.#stored(name);
      this.#known.set(name, stored);
      this.#producers.set(name, producer);
      if (stored?.append === append) return "done";
      if (known !== undefined && known?.append !== stored?.append) throw this.#overtaken(name);
      return producer;
    } catch (error) {
      this.#producers.delete(name);
      disconnectQuietly(Promise.resolve(producer));
      throw error;
    }
  }

  /**
   * The last committed cursor of a name. Reads the topic as it is, with records of open transactions, because one
   * producer's open transaction would hide what others have committed after it.
   */
  async #stored(name: string): Promise<StoredCursor | null> {
    const startedMs = Date.now();
    for (;;) {
      const { stored, open } = await this.#scan(name);
      if (!open || Date.now() - startedMs > ENDING_MS) return stored;
      await sleep(50);
    }
  }

  async #scan(name: string): Promise<{ stored: StoredCursor | null; open: boolean }> {
    const start = await this.#cursorStart();
    let stored: StoredCursor | null = null;
    /** Of producers whose transaction has not ended yet, by their number */
    const open = new Map<string, StoredCursor>();
    let end: number | null = null;
    for (let position = start; position !== null && (end === null || position < end);) {
      const place = {
        topic: this.#settings.topic,
        partition: 0,
        offset: position,
        maxBytes: 1 << 20,
        uncommitted: true,
      };
      const fetched = await this.#client.retrying(`read cursor "${name}"`, () => this.#fetcher.fetch(place));
      end ??= fetched.logEnd;
      for (const record of fetched.raw) {
        if (Number(record.offset) < position) continue;
        const { producerId, inTransaction } = record.batchContext;
        const ending = endsTransaction(record);
        if (ending !== null) {
          if (ending === "commit") stored = open.get(producerId) ?? stored;
          open.delete(producerId);
        } else if (record.key?.toString() === name && record.value !== null) {
          const found = JSON.parse(record.value.toString()) as StoredCursor;
          if (inTransaction) open.set(producerId, found);
          else stored = found;
        }
      }
      // Compaction may have left nothing of what comes last.
      position = endOf(fetched.raw) ?? end;
    }
    return { stored, open: open.size > 0 };
  }

  /** Null where no cursor was ever stored. */
  async #cursorStart(): Promise<number | null> {
    try {
      return (await topicEnds(this.#client, this.#settings.topic))[0]?.start ?? null;
    } catch (error) {
      if (isSluiceError(error) && isUnknownTopic(error)) return null;
      throw error;
    }
  }

  #makeTopic(): Promise<void> {
    const { topic, replicationFactor } = this.#settings;
    // Small segments, compacted soon: whoever looks for a cursor reads the topic.
    const settings = {
      "cleanup.policy": "compact",
      "segment.bytes": "16777216",
      "segment.ms": "600000",
      "min.cleanable.dirty.ratio": "0.1",
      "delete.retention.ms": "3600000",
    };
    this.#topicMade ??= ensureTopic(this.#client, topic, 1, { replicationFactor, settings }).catch((error: unknown) => {
      this.#topicMade = null;
      throw error;
    });
    return this.#topicMade;
  }

  #overtaken(name: string): SluiceError {
    return new SluiceError(
      "E_LOG_IO",
      `Expected to be the only producer with cursor "${name}" in ${this.#client.place}, found that another has appended since. Stop one of them, then start again: it goes on from the stored cursor.`,
      { cursor: name },
    );
  }

  async #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const earlier = this.#turns.get(name) ?? Promise.resolve();
    const turn = earlier.then(work);
    const settled = turn.catch(() => undefined);
    this.#turns.set(name, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#turns.values());
    await Promise.all([...this.#producers.values()].map((producer) => producer.disconnect().catch(() => undefined)));
    this.#producers.clear();
  }
}

function lost(cause: unknown, doing: string, place: string): SluiceError {
  const message = `Expected to ${doing} in ${place}, found that Kafka has ended the transaction (${typeOf(cause)}).`;
  return new SluiceError("E_LOG_IO", message, { cause, retryable: true });
}
