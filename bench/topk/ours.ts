/**
 * `node ours.js <folder> <K> <warm-up folder> [workers]`: our side of the topk benchmark, as a process of its own. The
 * same is done with the warm-up folder first, and not counted.
 */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { CLASSES } from "./rows.js";

export interface Task {
  /** All segments; worker `index` of `workers` reads a run of them and ends with every `workers`-th class */
  readonly files: readonly string[];
  readonly k: number;
  readonly index: number;
  readonly workers: number;
  /** Over shared memory: guessed thresholds, [L] */
  readonly guessed: Float64Array;
}

/** Entries of classes, on their way to the worker that ends with them: in one piece, since passing on many takes longer. */
export interface Handover {
  readonly to: number;
  readonly entries: Uint32Array<ArrayBuffer>;
  /** Words of each class of `to`, ascending */
  readonly lengths: readonly number[];
}

/** What a worker ends with, summed over the rows of its classes. */
export interface Found {
  readonly rows: number;
  readonly imageSum: number;
  /** Classes whose guess was too high */
  readonly readAgain: number;
}

export type FromWorker = { readonly ready: true } | { readonly handover: Handover } | { readonly found: Found };
export type ToWorker = { readonly task: Task } | { readonly handover: Handover };

async function rankAll(folder: string, k: number, workers: readonly Worker[]): Promise<Found> {
  const names = readdirSync(join(folder, "archive")).sort();
  const files = names.map((name) => join(folder, "archive", name));
  const guessed = new Float64Array(new SharedArrayBuffer(8 * CLASSES)).fill(Number.NEGATIVE_INFINITY);
  const found = await Promise.all(
    workers.map(async (worker, index) => {
      const answer = foundBy(worker, workers);
      const task: Task = { files, k, index, workers: workers.length, guessed };
      worker.postMessage({ task } satisfies ToWorker);
      return await answer;
    }),
  );
  const sum = (of: keyof Found): number => found.reduce((total, one) => total + one[of], 0);
  return { rows: sum("rows"), imageSum: sum("imageSum"), readAgain: sum("readAgain") };
}

/** Passes on what a worker hands over until it has found its rows. */
function foundBy(worker: Worker, workers: readonly Worker[]): Promise<Found> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromWorker): void => {
      if ("found" in message) {
        worker.off("message", onMessage).off("error", reject);
        resolve(message.found);
      } else if ("handover" in message) {
        const { handover } = message;
        workers[handover.to]?.postMessage({ handover } satisfies ToWorker, [handover.entries.buffer]);
      }
    };
    worker.on("error", reject).on("message", onMessage);
  });
}

const [folder = "", k = "", warmUp = "", count = "2"] = process.argv.slice(2);
const workers = await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    const worker = new Worker(new URL("./ours-worker.js", import.meta.url));
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
