/** `node --expose-gc whole.js <images> <K> <folder>`: one state takes all candidates, is written, and restored. */
import { join } from "node:path";
import { topk } from "../../operators/topk/topk.js";
import { costBelow } from "./below.js";
import { CLASSES, makeCandidates, PLACES } from "./candidates.js";
import { pushFile, writeSnapshot } from "./snapshot-file.js";

const [images = "", k = "", folder = ""] = process.argv.slice(2);
const operator = topk({ classes: CLASSES, k: Number(k), reserve: 0 });
const refuse = (): never => {
  throw new Error("made candidates are finite");
};
const out = { emit: refuse, reject: refuse };
/** Parts of the stream that the cost of a candidate is printed of */
const PARTS = 10;

function run(): { readonly digest: string; readonly measures: Record<string, number> } {
  const start = performance.now();
  const state = operator.restore();
  const costs: number[] = [];
  for (let part = 0; part < PARTS; part++) {
    const [from, until] = [part, part + 1].map((i) => Math.floor((Number(images) * i) / PARTS)) as [number, number];
    let spentMs = 0;
    for (const batch of makeCandidates(from, until)) {
      const before = performance.now();
      state.onBatch(batch, out);
      spentMs += performance.now() - before;
    }
    costs.push((spentMs * 1e6) / ((until - from) * PLACES));
    console.error(
      `  candidates ${((from * PLACES) / 1e6).toFixed(0)} M to ${((until * PLACES) / 1e6).toFixed(0)} M: ` +
        `${costs.at(-1)!.toFixed(1)} ns each in the operator`,
    );
  }
  const candidates = Number(images) * PLACES;
  const streamSeconds = (performance.now() - start) / 1000;
  const written = performance.now();
  const digest = writeSnapshot(state, join(folder, "whole.topk"));
  const entries = state.counts().reduce((sum, count) => sum + count, 0);
  const snapshotSeconds = (performance.now() - written) / 1000;
  const below = costBelow(state, refuse);
  console.error(
    `  a candidate below its class's threshold: ${below.belowNs!.toFixed(1)} ns, ` +
      (below.belowCycles === undefined
        ? "cycles not available: the machine does not say its clock"
        : `${below.belowCycles.toFixed(0)} cycles`),
  );
  return {
    digest,
    measures: {
      candidates,
      entries,
      streamSeconds,
      candidatesPerSecond: candidates / streamSeconds,
      operatorNs: costs.reduce((sum, cost) => sum + cost, 0) / PARTS,
      firstPartNs: costs[0]!,
      lastPartNs: costs.at(-1)!,
      ...below,
      snapshotSeconds,
    },
  };
}

const { digest, measures } = run();
globalThis.gc?.();
const before = performance.now();
const restoring = operator.restoring();
pushFile(join(folder, "whole.topk"), (chunk) => {
  restoring.push(chunk);
});
const restored = restoring.end();
const restoreSeconds = (performance.now() - before) / 1000;
const again = writeSnapshot(restored, join(folder, "restored.topk"));
if (again !== digest) throw new Error(`restored a state of digest ${again}, not ${digest}`);
console.error(`  digest ${digest}`);
console.log(JSON.stringify({ ...measures, restoreSeconds, digestHead: Number.parseInt(digest.slice(0, 12), 16) }));
