import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { PARTS } from "./arms.js";
import { mnistImages } from "./mnist-images.js";
import { reproductionWorlds } from "./world.js";

const { values } = parseArgs({
  options: {
    folder: { type: "string", default: "sluice-reproduction" },
    seeds: { type: "string", default: "1,2,3,4,5" },
    parts: { type: "string", default: PARTS.map(({ name }) => name).join(";") },
  },
});
const folder = resolve(values.folder);
const seeds = values.seeds.split(",").map(Number);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    stop.abort();
  });
const note = (line: string): void => {
  console.error(`${new Date().toISOString().slice(11, 19)}  ${line}`);
};
const worldOf = await reproductionWorlds(folder, await mnistImages(resolve(folder, "images")), {
  signal: stop.signal,
  note,
});
for (const name of values.parts.split(";")) {
  const part = PARTS.find((one) => one.name === name)!;
  const { world, base } = worldOf(part.labels);
  for (const seed of seeds) {
    for (const { label, recipe } of part.arms(base)) {
      const { metrics, tookMs, version } = await world.result(recipe, seed);
      note(
        `${name}, seed ${seed}, ${label}: ${(100 * metrics.accuracy).toFixed(2)} % in ${Math.round(tookMs / 1000)} s, cut-off ${version?.cutOff?.toFixed(3) ?? ""}`,
      );
    }
  }
}
