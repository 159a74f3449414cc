import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { openMinioStore } from "../../connectors/store/s3/minio-store.js";
import type { Store } from "../../connectors/store/store.js";
import { startKafka, type LocalKafka } from "../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../deploy/local/minio.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { liveChains } from "../../operators/archive/chain.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { makePictures, Process } from "../fixtures/killed-processes.js";
import { TcpProxy } from "../fixtures/tcp-proxy.js";

const MAIN = join(import.meta.dirname, "../../cli/main.js");
export const PARTITIONS = 4;
const SHARDS = 2;

export interface ChaosOptions {
  readonly seed: number;
  readonly images: number;
  readonly say: (line: string) => void;
}

/** A process that may be harmed */
export interface Victim {
  readonly name: string;
  readonly process: Process;
}

type SiteParts = Pick<ChaosSite, "folder" | "kafka" | "minio" | "store" | "storeProxy"> & {
  readonly common: NodeJS.ProcessEnv;
  readonly digests: ReadonlySet<string>;
};

/**
 * A stream on a real broker and a real store, with all of its processes: two scorers, top-K workers and publishers each, and a compactor. One of each reaches
 * the servers through a proxy, whose network can be cut and slowed.
 */
export class ChaosSite {
  readonly folder: string;
  readonly kafka: LocalKafka;
  readonly minio: LocalObjectStore;
  readonly store: Store;
  readonly storeProxy: TcpProxy;
  readonly victims: readonly Victim[];
  readonly #common: NodeJS.ProcessEnv;
  readonly #services: NodeJS.ProcessEnv;
  /** SHA-256 of every picture */
  readonly #digests: ReadonlySet<string>;

  private constructor(parts: SiteParts) {
    ({
      folder: this.folder,
      kafka: this.kafka,
      minio: this.minio,
      store: this.store,
      storeProxy: this.storeProxy,
    } = parts);
    this.#common = parts.common;
    this.#digests = parts.digests;
    this.#services = {
      ...parts.common,
      ...parts.kafka.environment,
      ...parts.minio.environment,
      SLUICE_PARTITIONS: String(PARTITIONS),
      SLUICE_KAFKA__SHARDS: String(SHARDS),
    };
    const far = { SLUICE_S3__ENDPOINT: `http://127.0.0.1:${parts.storeProxy.port}` };
    const start = (name: string, environment: NodeJS.ProcessEnv, ...args: string[]): Victim => ({
      name,
      process: new Process(name, [MAIN, "run", ...args, "--progress", "lines"], parts.folder, {
        ...this.#services,
        ...environment,
      }),
    });
    this.victims = [
      start("scorer 1", {}, "score", "--data", "scorer-1"),
      start("scorer 2", far, "score", "--data", "scorer-2"),
      start("top-K worker 1", {}, "topk", "--checkpoint-every", "2s"),
      start("top-K worker 2", far, "topk", "--checkpoint-every", "2s"),
      start("publisher 1", {}, "publish", "--data", "publisher-1"),
      start("publisher 2", far, "publish", "--data", "publisher-2"),
      start("compactor", far, "compact", "--compact-every", "2s", "--older-than", "1s"),
    ];
  }

  static async open({ images }: ChaosOptions): Promise<ChaosSite> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    const digests = await makePictures(join(folder, "pictures"), images);
    await writeFile(join(folder, "pictures", "broken.jpg"), "no image at all");
    const dataset = {
      name: "best",
      window: { kind: "global" },
      select: { k: 20, p: 3 },
      reserve: 8,
      trigger: { everyImages: images + 1 },
    };
    await writeFile(join(folder, "sluice.yaml"), JSON.stringify({ datasets: [dataset] }));
    const common = {
      ...process.env,
      SLUICE_TEACHER: "teacher",
      SLUICE_BYTES: "keep",
      SLUICE_ENGINE__WORKERS: "1",
      SLUICE_ARCHIVE__SEGMENT_RECORDS: "16",
      SLUICE_CHECKPOINT__EVERY_SEGMENTS: "4",
    };
    const storeProxy = await TcpProxy.open(minio.port);
    const store = await openMinioStore({
      endPoint: "127.0.0.1",
      port: minio.port,
      useSSL: false,
      bucket: minio.bucket,
      accessKey: minio.accessKey,
      secretKey: minio.secretKey,
    });
    const topics = {
      ...common,
      ...kafka.environment,
      ...minio.environment,
      SLUICE_PARTITIONS: String(PARTITIONS),
      SLUICE_KAFKA__SHARDS: String(SHARDS),
    };
    await promisify(execFile)(process.execPath, [MAIN, "topics", "create"], { cwd: folder, env: topics });
    return new ChaosSite({ folder, kafka, minio, store, storeProxy, common, digests });
  }

  /** `sluice …` on the services, to its end; what it prints. */
  async sluice(...args: string[]): Promise<string> {
    return (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: this.folder, env: this.#services }))
      .stdout;
  }

  /** The exit code as well, and all that it says */
  async tried(...args: string[]): Promise<{ code: number; said: string }> {
    try {
      return { code: 0, said: await this.sluice(...args) };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string };
      if (typeof code !== "number") throw error;
      return { code, said: `${stdout}${stderr}` };
    }
  }

  /** The id that one machine gives to the same pictures. */
  async idOfOneMachine(): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "ingest", "pictures", "--json"], {
      cwd: this.folder,
      env: { ...this.#common, SLUICE_DATA: "local" },
    });
    const { published } = JSON.parse(stdout) as { published: readonly { readonly id: string }[] };
    return published.at(-1)!.id;
  }

  /** Starts again what found no server as it began; nothing else may end by itself. */
  async tend(): Promise<void> {
    for (const { process } of this.victims) {
      if (process.foundNothing) await process.restart();
      assert.equal(process.ended, null);
    }
  }

  /** Looks twice a second. */
  async until<T>(what: string, withinMs: number, look: () => Promise<T | null>): Promise<T> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      await this.tend();
      const found = await look();
      if (found !== null) return found;
      if (Date.now() > deadline) {
        const said = this.victims.map(({ name, process }) => `${name}:\n${process.said}`).join("\n");
        throw new Error(`expected ${what} within ${withinMs / 1000} s; it did not come.\n${said}`);
      }
      await sleep(500);
    }
  }

  async keysBelow(prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.store.list(prefix)) found.push(key);
    return found;
  }

  /** Whether the archive has every picture. Throws where it has one twice, or one that nobody made. */
  async isArchivedOnce(): Promise<boolean> {
    const { teacher, stream } = await this.#chainsName();
    const found: string[] = [];
    for (const chain of await liveChains(this.store, { teacher, stream })) {
      const reader = new ChainReader(this.store, chain);
      for await (const { header, batch } of reader.segments(chain.origin, await reader.end(chain.origin))) {
        const { counts } = header;
        assert.equal(counts.in, counts.scored + counts.copied + counts.quarantined + counts.lost);
        assert.equal(counts.lost, 0);
        for (let row = 0; row < batch.count; row++)
          found.push(Buffer.from(batch.digest.subarray(row * 32, row * 32 + 32)).toString("hex"));
      }
    }
    if (found.length < this.#digests.size) return false;
    assert.deepEqual(found.sort(), [...this.#digests].sort());
    return true;
  }

  async #chainsName(): Promise<{ teacher: string; stream: string }> {
    const [key = ""] = [...(await this.keysBelow("scores/")), ...(await this.keysBelow("runs/"))];
    const [, teacher = "", stream = ""] = key.split("/");
    return { teacher, stream };
  }

  async close(): Promise<void> {
    await Promise.all(this.victims.map(({ process }) => process.end("SIGKILL")));
    await Promise.all([this.storeProxy.close(), this.store.close()]);
    await Promise.all([this.kafka.stop(), this.minio.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }
}
