import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { LocalKafka } from "../../deploy/local/kafka.js";
import { startKafka } from "../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../deploy/local/minio.js";
import { openKafka } from "../../pipelines/open/open-kafka.js";
import { openStore } from "../../pipelines/open/workspace.js";
import { createTopics, declaredTopics } from "../../pipelines/kafka/topics.js";
import { configSchema, type Config } from "../../schemas/config.js";
import type { LogRecord } from "../../schemas/image-record.js";
import { kafkaSchema, withTopicNames, type KafkaConfig } from "../../schemas/kafka-config.js";
import type { BenchOptions, Measures } from "../harness.js";
import { cannotStartBecause } from "./needed-programs.js";

/** One part of the bench: what it measured by entrant, and its ratios (greater is better). */
export interface PartReport {
  readonly entrants: Readonly<Record<string, Measures>>;
  readonly ratios: Readonly<Record<string, number>>;
}

export interface StreamOptions {
  readonly partitions?: number;
  readonly shards?: number;
  /** More settings, as in sluice.yaml */
  readonly settings?: object;
}

/** A stream with topics, and a place in the bucket, of its own; `settings` is what its processes are given. */
export interface Stream {
  readonly name: string;
  readonly settings: object;
  readonly config: Config;
  readonly kafka: KafkaConfig;
}

/** A real Kafka and a real MinIO on loopback, for as long as the bench runs. */
export class Ground {
  readonly kafka: LocalKafka;
  readonly minio: LocalObjectStore;
  readonly log: KafkaLog;
  readonly print: BenchOptions["print"];
  readonly tiny: boolean;
  readonly #folder: string;
  #made = 0;

  private constructor(parts: Pick<Ground, "kafka" | "minio" | "log" | "print" | "tiny"> & { folder: string }) {
    this.kafka = parts.kafka;
    this.minio = parts.minio;
    this.log = parts.log;
    this.print = parts.print;
    this.tiny = parts.tiny;
    this.#folder = parts.folder;
  }

  /** Null, said loudly, where a server cannot be started here for want of programs. */
  static async open({ tiny, print }: BenchOptions): Promise<Ground | null> {
    const reason = await cannotStartBecause();
    if (reason !== null) {
      print(`*** NOT MEASURED: ${reason} ***`);
      return null;
    }
    const folder = await mkdtemp(join(tmpdir(), "sluice-kafka-bench-"));
    const [kafka, minio] = await Promise.all([startKafka({ report: print }), startMinio({ report: print })]);
    const log = await openKafka(withTopicNames(kafkaSchema.parse({ brokers: kafka.address }), "images"));
    return new Ground({ kafka, minio, log, print, tiny, folder });
  }

  async close(): Promise<void> {
    await this.log.close();
    await Promise.all([this.kafka.stop(), this.minio.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Makes the stream's topics. */
  async stream(name: string, { partitions = 2, shards = 1, settings = {} }: StreamOptions = {}): Promise<Stream> {
    const { accessKey, secretKey, bucket, address } = this.minio;
    const roles = ["candidates", "thresholds", "labels", "versions", "quarantine", "cursors"];
    const all = {
      stream: name,
      partitions,
      kafka: {
        brokers: this.kafka.address,
        shards,
        topics: Object.fromEntries(roles.map((role) => [role, `${name}-${role}`])),
      },
      s3: { endpoint: `http://${address}`, accessKey, secretKey, bucket, prefix: name },
      ...settings,
    };
    const config = configSchema.parse(all);
    const kafka = config.kafka!;
    await createTopics(this.log, declaredTopics(config, kafka));
    return { name, settings: all, config, kafka };
  }

  /** The same for one process: a data folder that nobody else has, and other settings of its own. */
  settingsFor(stream: Stream, more: object = {}): object {
    return { ...stream.settings, ...more, data: join(this.#folder, `data-${++this.#made}`) };
  }

  /** Appends to all partitions in turns; returns when everything is there. */
  async append({ name, config }: Stream, records: readonly LogRecord[]): Promise<void> {
    const { partitions } = config;
    await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        this.log.append(
          name,
          partition,
          records.filter((_record, at) => at % partitions === partition),
        ),
      ),
    );
  }

  /** What the broker holds of a topic on its disk, as it was sent: record batches with all that is around them, bytes. */
  async topicBytes(topic: string): Promise<number> {
    const data = join(this.kafka.folder, "data");
    let bytes = 0;
    for (const folder of await readdir(data)) {
      if (folder.slice(0, folder.lastIndexOf("-")) !== topic) continue;
      for (const file of await readdir(join(data, folder)))
        if (file.endsWith(".log")) bytes += (await stat(join(data, folder, file))).size;
    }
    return bytes;
  }

  /** What lies in the bucket below a prefix, of a stream, bytes. */
  async storedBytes({ config }: Stream, prefix: string): Promise<number> {
    const store = await openStore(config);
    let bytes = 0;
    for await (const { sizeBytes } of store.list(prefix)) bytes += sizeBytes;
    await store.close();
    return bytes;
  }

  /** What broker and object store have spent so far, s. NaN where /proc is missing. */
  get serverCpuSeconds(): number {
    return cpuSecondsOf(this.kafka.pid) + cpuSecondsOf(this.minio.pid);
  }
}

/** Linux counts in hundredths of a second (USER_HZ) for programs, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;

function cpuSecondsOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may have spaces and ends with the last parenthesis, utime and stime are 12th and 13th.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}
