/** `node --expose-gc shards.js <images> <K> <folder>`: four states take a quarter of the images each, then are merged. */
import { join } from "node:path";
import { topk } from "../../operators/topk/topk.js";
import { CLASSES, makeCandidates } from "./candidates.js";
import { pushFile, writeSnapshot } from "./snapshot-file.js";

const SHARDS = 4;
const [images = "", k = "", folder = ""] = process.argv.slice(2);
const operator = topk({ classes: CLASSES, k: Number(k), reserve: 0 });
const refuse = (): never => {
  throw new Error("made candidates are finite");
};

function writeShard(shard: number): string {
  const state = operator.restore();
  const [from, until] = [shard, shard + 1].map((i) => Math.floor((Number(images) * i) / SHARDS)) as [number, number];
  for (const batch of makeCandidates(from, until)) state.onBatch(batch, { emit: refuse, reject: refuse });
  const path = join(folder, `shard-${shard}.topk`);
  writeSnapshot(state, path);
  console.error(`  shard ${shard + 1} of ${SHARDS} written`);
  return path;
}

const paths: string[] = [];
for (let shard = 0; shard < SHARDS; shard++) {
  paths.push(writeShard(shard));
  globalThis.gc?.();
}
const start = performance.now();
const merged = operator.restore();
for (const path of paths) {
  const merging = merged.merging();
  pushFile(path, (chunk) => {
    merging.push(chunk);
  });
  merging.end();
}
const mergeSeconds = (performance.now() - start) / 1000;
const digest = writeSnapshot(merged, join(folder, "merged.topk"));
console.error(`  digest ${digest}`);
console.log(JSON.stringify({ mergeSeconds, digestHead: Number.parseInt(digest.slice(0, 12), 16) }));
