import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../connectors/store/store.js";
import { startKafka, type LocalKafka } from "../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../deploy/local/minio.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { liveChains } from "../../operators/archive/chain.js";
import { Process } from "../fixtures/killed-processes.js";
import { MAIN, makeKilledStream, sluiceOf, type KilledStream } from "../fixtures/killed-stream.js";
import { openLocalStore } from "../fixtures/local-store.js";
import { TcpProxy } from "../fixtures/tcp-proxy.js";

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

type SiteParts = Pick<ChaosSite, "kafka" | "minio" | "store" | "storeProxy"> & { readonly stream: KilledStream };

/**
 * A stream on a real broker and a real store, with all of its processes: two scorers, top-K workers and publishers each, and a compactor. One of each reaches
 * the servers through a proxy, whose network can be cut and slowed.
 */
export class ChaosSite {
  readonly kafka: LocalKafka;
  readonly minio: LocalObjectStore;
  readonly store: Store;
  readonly storeProxy: TcpProxy;
  readonly victims: readonly Victim[];
  readonly #stream: KilledStream;

  private constructor({ stream, ...parts }: SiteParts) {
    ({ kafka: this.kafka, minio: this.minio, store: this.store, storeProxy: this.storeProxy } = parts);
    this.#stream = stream;
    const far = { SLUICE_S3__ENDPOINT: `http://127.0.0.1:${parts.storeProxy.port}` };
    const start = (name: string, environment: NodeJS.ProcessEnv, ...args: string[]): Victim => ({
      name,
      process: new Process(name, [MAIN, "run", ...args, "--progress", "lines"], stream.folder, {
        ...stream.services,
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
    const stream = await makeKilledStream(folder, { kafka, minio, images, segmentRecords: 16 });
    const storeProxy = await TcpProxy.open(minio.port);
    const store = await openLocalStore(minio);
    return new ChaosSite({ stream, kafka, minio, store, storeProxy });
  }

  /** `sluice …` on the services, to its end; what it prints. */
  sluice(...args: string[]): Promise<string> {
    return sluiceOf(this.#stream, this.#stream.services, ...args);
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
    const stdout = await sluiceOf(
      this.#stream,
      { ...this.#stream.alone, SLUICE_DATA: "local" },
      "ingest",
      "pictures",
      "--json",
    );
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
    if (found.length < this.#stream.digests.size) return false;
    assert.deepEqual(found.sort(), [...this.#stream.digests].sort());
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
    await rm(this.#stream.folder, { recursive: true, force: true });
  }
}
