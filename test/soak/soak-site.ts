import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKafkaLog, type KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../deploy/local/minio.js";
import { freePort } from "../../deploy/local/server-process.js";
import { imageRecord, jpeg, MAIN, ranSluice, RunProcess, type Ran } from "../fixtures/kafka-site.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { processFigures, type ProcessFigures } from "./process-figures.js";

const STREAM = "images";
const PARTITIONS = 2;
/** Pictures that are drawn once: most images are sent again and again, with another licence each, so that a run is not about drawing */
const DRAWN = 400;

interface Running {
  readonly name: string;
  readonly folder: string;
  readonly process: RunProcess;
}

/** All processes of a stream on a real broker and a real store, which work for as long as they are let. */
export class SoakSite {
  readonly kafka: LocalKafka;
  readonly minio: LocalObjectStore;
  readonly consoleUrl: string;
  readonly #log: KafkaLog;
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #running: readonly Running[];
  readonly #scorerPort: number;
  #sent = 0;

  private constructor(
    parts: Pick<SoakSite, "kafka" | "minio" | "consoleUrl"> & {
      readonly log: KafkaLog;
      readonly folder: string;
      readonly environment: NodeJS.ProcessEnv;
      readonly running: readonly Running[];
      readonly scorerPort: number;
    },
  ) {
    ({ kafka: this.kafka, minio: this.minio, consoleUrl: this.consoleUrl } = parts);
    this.#log = parts.log;
    this.#folder = parts.folder;
    this.#environment = parts.environment;
    this.#running = parts.running;
    this.#scorerPort = parts.scorerPort;
  }

  static async open(): Promise<SoakSite> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-soak-"));
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const settings = {
      datasets: [
        { name: "best", select: { k: 20, p: 3 }, trigger: { elapsedMs: 15_000 }, keep: { last: 5 } },
        {
          name: "daily",
          window: { kind: "tumbling", sizeMs: 60_000 },
          select: { k: 10, p: 1 },
          trigger: { windowEnd: true },
          keep: { last: 5 },
        },
      ],
      schedules: [{ name: "gc", cron: "* * * * *", run: ["gc", "--yes"] }],
    };
    await writeFile(join(folder, "sluice.yaml"), JSON.stringify(settings));
    const environment = {
      ...process.env,
      ...kafka.environment,
      ...minio.environment,
      SLUICE_STREAM: STREAM,
      SLUICE_PARTITIONS: String(PARTITIONS),
      SLUICE_TEACHER: "teacher",
      SLUICE_BYTES: "keep",
      SLUICE_ENGINE__WORKERS: "1",
      SLUICE_ARCHIVE__SEGMENT_RECORDS: "64",
      SLUICE_ARCHIVE__SEGMENT_DELAY_MS: "1000",
    };
    const made = await ranSluice(["topics", "create"], { cwd: folder, env: environment });
    assert.equal(made.code, 0, made.stdout + made.stderr);
    const log = await openKafkaLog({ brokers: [kafka.address] });
    const [scorerPort, consolePort] = [await freePort(), await freePort()];
    const start = (name: string, ...args: string[]): Running => ({
      name,
      folder: join(folder, name),
      process: new RunProcess([MAIN, ...args, "--data", name], folder, environment),
    });
    const running = [
      start("scorer", "run", "score", "--metrics-port", String(scorerPort)),
      start("topk", "run", "topk", "--checkpoint-every", "5s"),
      start("publisher", "run", "publish"),
      start("compactor", "run", "compact", "--compact-every", "10s", "--older-than", "5s"),
      start("schedules", "schedules", "run"),
      start("console", "serve", "--port", String(consolePort)),
    ];
    const consoleUrl = `http://127.0.0.1:${consolePort}`;
    return new SoakSite({ kafka, minio, consoleUrl, log, folder, environment, running, scorerPort });
  }

  get names(): string[] {
    return this.#running.map(({ name }) => name);
  }

  /** Throws where a process has ended by itself. */
  tend(): void {
    for (const { name, process } of this.#running) assert.equal(process.ended, null, `${name}:\n${process.said}`);
  }

  /** Appends so many images, most of them seen before, one in fifty no picture. */
  async feed(images: number): Promise<void> {
    for (let left = images; left > 0; left--) {
      const number = this.#sent++;
      const isBroken = number % 50 === 49;
      const bytes = isBroken ? Buffer.from(`no picture ${number}`) : await drawn(number % DRAWN);
      await this.#log.append(STREAM, number % PARTITIONS, [imageRecord(bytes, { "sluice-origin": `soak ${number}` })]);
    }
  }

  get sent(): number {
    return this.#sent;
  }

  /** `sluice …` beside the others, to its end */
  sluice(...args: string[]): Promise<Ran> {
    return ranSluice([...args, "--data", `by-hand-${args[0]!}`], { cwd: this.#folder, env: this.#environment });
  }

  /** What every process holds now. Throws where one has gone. */
  async figures(): Promise<Map<string, ProcessFigures>> {
    this.tend();
    const found = new Map<string, ProcessFigures>();
    for (const { name, folder, process } of this.#running) {
      const figures = await processFigures(process.pid, folder);
      if (figures !== null) found.set(name, figures);
    }
    return found;
  }

  /** Records that wait to be scored; null while the scorer does not answer yet */
  async lag(): Promise<number | null> {
    try {
      const text = await (await fetch(`http://127.0.0.1:${this.#scorerPort}/metrics`)).text();
      const lags = [...text.matchAll(/^sluice_lag_records\{[^}]*\} (\d+)$/gm)].map(([, lag]) => Number(lag));
      return lags.length < PARTITIONS ? null : lags.reduce((sum, lag) => sum + lag, 0);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return null;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map(({ process }) => process.end("SIGKILL")));
    await this.#log.close();
    await Promise.all([this.kafka.stop(), this.minio.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const pictures = new Map<number, Promise<Buffer>>();

function drawn(seed: number): Promise<Buffer> {
  const known = pictures.get(seed) ?? jpeg(seed);
  pictures.set(seed, known);
  return known;
}
