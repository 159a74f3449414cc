import type { Assignment, LogBatch } from "../../connectors/log/log.js";
import { declaredTopics } from "../../pipelines/kafka/topics.js";
import type { TopicLog } from "../../pipelines/kafka/topic-log.js";
import type { Config } from "../../schemas/config.js";
import type { LogRecord, StoredRecord } from "../../schemas/image-record.js";
import { brokerLog, type Carry } from "../fixtures/broker-log.js";
import { MemoryBroker, type BrokerPartition } from "../fixtures/memory-broker.js";
import type { SimProcess, World } from "./world.js";

/** Most records of one read of images */
export const READ_RECORDS = 6;

/** The broker that all processes of a world share, with holes in its offsets. It outlives them. */
export class SimLog {
  readonly broker: MemoryBroker;
  readonly stream: string;
  /** Images that were ever appended, whatever retention did; by partition */
  readonly appended: StoredRecord[][];
  /** Records that a retry appended: `partition/offset` */
  readonly retries = new Set<string>();
  readonly #world: World;
  readonly #told: readonly string[];
  #retrying = false;
  /** Is told of records of the topics beside that of images */
  onTold: (topic: string, partition: number, records: readonly StoredRecord[]) => void = () => undefined;
  /** Is told of images that a process has been given */
  onRead: (process: SimProcess, partition: number, records: number) => void = () => undefined;

  constructor(world: World, config: Config) {
    this.#world = world;
    this.stream = config.stream;
    const { labels, versions } = config.kafka!.topics;
    this.#told = [labels, versions];
    this.broker = new MemoryBroker(() => world.nowMs);
    this.appended = Array.from({ length: config.partitions }, () => []);
    const topics = declaredTopics(config, config.kafka!);
    this.broker.onAppend = (topic, partition, stored) => {
      this.#onAppend(topic, partition, stored);
    };
    for (const { name, partitions, settings } of topics) this.broker.ensureTopic(name, partitions, settings);
  }

  /** Of the images topic */
  get partitions(): readonly BrokerPartition[] {
    return this.broker.topic(this.stream).partitions;
  }

  /** Appends images; returns the first one's offset. */
  append(partition: number, records: readonly LogRecord[]): number {
    return this.broker.append(this.stream, partition, records, this.#holes());
  }

  /** The log as one process sees it. `retries`: the images that it appends are retries. */
  for(process: SimProcess, retries = false): TopicLog {
    const world = this.#world;
    // What is answered to somebody, or told once: a squall may meet it.
    const told = this.#told;
    const carry: Carry = (what, effect, { ready = () => true, sure = false } = {}) =>
      world.call(process, what, async () => this.#as(retries, effect), {
        ready,
        risk: sure ? 0 : 1,
        code: "E_LOG_IO",
        decides: told.find((one) => what.startsWith("append ") && what.includes(` to ${one}/`)) ?? null,
      });
    const log = brokerLog(this.broker, process, carry, {
      holes: () => this.#holes(),
      most: () => 1 + world.random.below(READ_RECORDS),
    });
    return {
      ...log,
      consume: (topic, group, task, signal) =>
        log.consume(
          topic,
          group,
          (given) => task(topic === this.stream ? this.#watched(process, given) : given),
          signal,
        ),
    };
  }

  #watched(process: SimProcess, given: Assignment): Assignment {
    const tell = (count: number): void => {
      this.onRead(process, given.partition, count);
    };
    return {
      ...given,
      read: async function* (offset, how): AsyncGenerator<LogBatch> {
        for await (const batch of given.read(offset, how)) {
          tell(batch.records.length);
          yield batch;
        }
      },
    };
  }

  #as<T>(retrying: boolean, effect: () => T): T {
    this.#retrying = retrying;
    try {
      return effect();
    } finally {
      this.#retrying = false;
    }
  }

  #holes(): number {
    return this.#world.chance(60) ? 1 + this.#world.random.below(3) : 0;
  }

  /** Whatever becomes of the answer, the images are there. */
  #onAppend(topic: string, partition: number, stored: readonly StoredRecord[]): void {
    if (topic !== this.stream) {
      this.onTold(topic, partition, stored);
      return;
    }
    this.appended[partition]!.push(...stored);
    if (this.#retrying) for (const { offset } of stored) this.retries.add(`${partition}/${offset}`);
  }
}
