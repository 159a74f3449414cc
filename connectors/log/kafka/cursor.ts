import { isSluiceError } from "../../../schemas/errors.js";
import type { StoredRecord } from "../../../schemas/image-record.js";
import type { KafkaAppender } from "./append.js";
import type { KafkaClient } from "./client.js";
import { isUnknownTopic } from "./errors.js";
import type { KafkaFetcher } from "./fetch.js";
import { committedRecords, endOf } from "./records.js";
import { ensureTopic, topicEnds } from "./topics.js";
import type { Cursor, PartitionEnds } from "../log.js";

export interface CursorSettings {
  /** A compacted topic of one partition; made where it is absent */
  readonly topic: string;
  readonly replicationFactor: number;
}

/** Compacted soon, in small segments: a producer that looks for its cursor reads the topic. */
export const CURSOR_TOPIC_SETTINGS = {
  "cleanup.policy": "compact",
  "segment.bytes": "16777216",
  "segment.ms": "600000",
  "min.cleanable.dirty.ratio": "0.1",
};

const FETCH_BYTES = 2 * 1024 * 1024;

/**
 * Cursors as records of a compacted topic, by name. A cursor is noted after the records that it covers: a producer that is killed
 * between the two appends those once more (docs/decisions/008-kafka-log.md).
 */
export class KafkaCursors {
  readonly #client: KafkaClient;
  readonly #fetcher: KafkaFetcher;
  readonly #appender: KafkaAppender;
  readonly #settings: CursorSettings;
  #topicMade: Promise<void> | null = null;

  constructor(client: KafkaClient, fetcher: KafkaFetcher, appender: KafkaAppender, settings: CursorSettings) {
    this.#client = client;
    this.#fetcher = fetcher;
    this.#appender = appender;
    this.#settings = settings;
  }

  /** The newest that was noted under a name; null where none was. */
  async read(name: string): Promise<string | null> {
    const { topic } = this.#settings;
    const { start, end } = await this.#bounds();
    let found: string | null = null;
    for (let offset = start; offset < end;) {
      const place = { topic, partition: 0, offset, maxBytes: FETCH_BYTES };
      const { raw, aborted } = await this.#client.retrying(`read ${topic}`, () => this.#fetcher.fetch(place), {
        topic,
        needs: { operation: "Read", resource: "topic", name: topic },
      });
      for (const { key, value } of committedRecords(raw, aborted, offset))
        if (textOf(key) === name) found = textOf(value);
      // Compaction may have left nothing of what comes last.
      offset = endOf(raw) ?? end;
    }
    return found;
  }

  async note({ name, value }: Cursor): Promise<void> {
    await this.#makeTopic();
    const record = { key: Buffer.from(name), value: Buffer.from(value), headers: {}, timestampMs: Date.now() };
    await this.#appender.append(this.#settings.topic, 0, [[record]]);
  }

  /** Nothing where there is no such topic. */
  async #bounds(): Promise<PartitionEnds> {
    const nothing = { start: 0, end: 0 };
    try {
      return (await topicEnds(this.#client, this.#settings.topic))[0] ?? nothing;
    } catch (error) {
      if (isSluiceError(error) && isUnknownTopic(error)) return nothing;
      throw error;
    }
  }

  #makeTopic(): Promise<void> {
    const { topic, replicationFactor } = this.#settings;
    const settings = { replicationFactor, settings: CURSOR_TOPIC_SETTINGS };
    this.#topicMade ??= ensureTopic(this.#client, topic, 1, settings).catch((error: unknown) => {
      this.#topicMade = null;
      throw error;
    });
    return this.#topicMade;
  }
}

function textOf(bytes: StoredRecord["key"]): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}
