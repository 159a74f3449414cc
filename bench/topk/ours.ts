/**
 * `node ours.js <folder> <K> <warm-up folder>`: our side of the topk benchmark, as a process of its own: what a cut does with archived
 * segments. The same is done with the warm-up folder first, and not counted.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { candidates } from "../../operators/topk/candidates.js";
import { topk } from "../../operators/topk/topk.js";
import { rankedColumns } from "./segment-columns.js";
import { CLASSES, TOP_M } from "./shape.js";

const refuse = (): never => {
  throw new Error("made rows are finite");
};

/** Rows, and the sum of their images. */
function rankAll(folder: string, k: number): { readonly rows: number; readonly imageSum: number } {
  const files = readdirSync(join(folder, "archive")).sort();
  const state = topk({ classes: CLASSES, k, reserve: 0 }).restore();
  const chosen = candidates({ p: TOP_M, classes: CLASSES, thresholds: state.thresholds });
  const output = {
    emit: (batch: Parameters<typeof state.onBatch>[0]): void => {
      state.onBatch(batch, { emit: refuse, reject: refuse });
    },
    reject: refuse,
  };
  for (const batch of rankedColumns(files.map((name) => join(folder, "archive", name)))) chosen.onBatch(batch, output);
  let rows = 0;
  let imageSum = 0;
  for (let index = 0; index < CLASSES; index++) {
    const { count, offset } = state.rows(index);
    rows += count;
    for (const one of offset) imageSum += one;
  }
  return { rows, imageSum };
}

const [folder = "", k = "", warmUp = ""] = process.argv.slice(2);
rankAll(warmUp, Number(k));
const cpuBefore = process.cpuUsage();
const start = performance.now();
const found = rankAll(folder, Number(k));
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, ...found }));
