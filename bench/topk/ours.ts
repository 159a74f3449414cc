/**
 * `node ours.js <folder> <K> <warm-up folder> [workers]`: our side of the topk benchmark, as a process of its own. The
 * same is done with the warm-up folder first, and not counted.
 */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { exchangeMemory, type ExchangeMemory } from "../../pipelines/flow/candidate-exchange.js";
import { CLASSES } from "./shape.js";

export interface Task {
  /** All segments; each is read by the worker that comes to it first */
  readonly files: readonly string[];
  readonly k: number;
  readonly index: number;
  readonly memory: ExchangeMemory;
  /** Over shared memory: how many files of each pass have been taken, [3] */
  readonly counters: Int32Array;
  /** Over shared memory: guessed thresholds, [L] */
  readonly guessed: Float64Array;
}

/** What a worker ends with, summed over the rows of its classes. */
export interface Found {
  readonly rows: number;
  readonly imageSum: number;
  /** Classes whose guess was too high */
  readonly readAgain: number;
}

/** Columns make no garbage to speak of: what a larger young generation holds is only memory. */
const YOUNG_MIB = 2;

export type FromWorker = { readonly ready: true } | { readonly found: Found };

async function rankAll(folder: string, k: number, workers: readonly Worker[]): Promise<Found> {
  const names = readdirSync(join(folder, "archive")).sort();
  const shared = {
    files: names.map((name) => join(folder, "archive", name)),
    k,
    memory: exchangeMemory(workers.length),
    counters: new Int32Array(new SharedArrayBuffer(4 * 3)),
    guessed: new Float64Array(new SharedArrayBuffer(8 * CLASSES)).fill(Number.NEGATIVE_INFINITY),
  };
  const found = await Promise.all(
    workers.map(async (worker, index) => {
      worker.postMessage({ ...shared, index } satisfies Task);
      const [message] = (await once(worker, "message")) as [{ found: Found }];
      return message.found;
    }),
  );
  const sum = (of: keyof Found): number => found.reduce((total, one) => total + one[of], 0);
  return { rows: sum("rows"), imageSum: sum("imageSum"), readAgain: sum("readAgain") };
}

const [folder = "", k = "", warmUp = "", count = "2"] = process.argv.slice(2);
const workers = await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    const worker = new Worker(new URL("./ours-worker.js", import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    await once(worker, "message");
    return worker;
  }),
);
await rankAll(warmUp, Number(k), workers);
const cpuBefore = process.cpuUsage();
const start = performance.now();
const found = await rankAll(folder, Number(k), workers);
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, ...found }));
await Promise.all(workers.map((worker) => worker.terminate()));
