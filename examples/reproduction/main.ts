import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { isSluiceError } from "../../schemas/errors.js";
import { PARTS } from "./arms.js";
import { mnistImages } from "./mnist-images.js";
import { reproductionPage } from "./page.js";
import { chosenK, partResults, type PartResults } from "./results.js";
import { reproductionWorlds } from "./world.js";

const HELP = `Usage: npm run reproduction -- [--folder <folder>] [--seeds 1,2,3,4,5] [--parts "K;balance"] [--page-only]

  Trains what is missing in the folder, and writes docs/reproduction.md from all that is there. Killed anywhere, the same command goes on.
  Two processes may share a folder if their seeds differ.

  --folder     where images, models and results lie; default sluice-reproduction
  --seeds      each draws labelled images and weights
  --parts      some of: ${PARTS.map(({ name }) => name).join("; ")}
  --page       the page; default docs/reproduction.md
  --page-only  train nothing`;

const { values } = parseArgs({
  options: {
    folder: { type: "string", default: "sluice-reproduction" },
    seeds: { type: "string", default: "1,2,3,4,5" },
    parts: { type: "string", default: PARTS.map(({ name }) => name).join(";") },
    page: { type: "string", default: "docs/reproduction.md" },
    "page-only": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const seeds = values.seeds.split(",").map(Number);
const asked = values.parts.split(";").map((name) => PARTS.find((part) => part.name === name.trim()));
const isWrong = asked.includes(undefined) || !seeds.every((seed) => Number.isInteger(seed) && seed >= 0);
if (values.help || isWrong) {
  console.error(HELP);
  process.exit(values.help ? 0 : 2);
}

const folder = resolve(values.folder);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    stop.abort();
  });
const note = (line: string): void => {
  console.error(`${new Date().toISOString().slice(11, 19)}  ${line}`);
};
const images = await mnistImages(resolve(folder, "images"));
const worldOf = await reproductionWorlds(folder, images, { signal: stop.signal, note });
const worlds = { 100: worldOf(100), 1000: worldOf(1000) };

async function train(): Promise<void> {
  for (const part of asked.filter((one) => one !== undefined)) {
    const one = worlds[part.labels];
    for (const seed of seeds) {
      const k = part.asksWhatIf === undefined ? one.base.k : await chosenK(folder, part.labels, one, seed);
      for (const { label, recipe } of part.arms(one.base, k)) {
        if ((await one.world.known(recipe, seed)) !== null) continue;
        const { metrics, tookMs } = await one.world.result(recipe, seed);
        const accuracy = (100 * metrics.accuracy).toFixed(2);
        note(`${part.name}, seed ${seed}, ${label}: ${accuracy} % in ${Math.round(tookMs / 1000)} s`);
      }
    }
  }
}

if (!values["page-only"]) {
  await train().catch((error: unknown) => {
    if (!isSluiceError(error, "E_CANCELLED")) throw error;
    note("Stopped on request: the page has what is made by now.");
  });
}
const parts: PartResults[] = [];
for (const part of PARTS) parts.push(await partResults(folder, part, worlds[part.labels], seeds));
const machine = `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores, Node ${process.versions.node}.`;
await writeFile(values.page, reproductionPage(parts, seeds, machine));
note(`${values.page} is written.`);
process.exit(0);
