import { writeFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../../cli/package-root.js";
import { counted } from "../../schemas/counted.js";
import { logLogChart, type Line } from "./draw.js";
import { measureAndValidate } from "./measure.js";
import { bends, predict, type Deployment, type UnitCosts } from "./model.js";

const USAGE = `Says on paper what a deployment would do, from what an image was measured to take.

  npm run scale-model -- [--measure teacher] [--images N] [--out file.svg] [--json]

  --measure TEACHER  scores N pictures with one engine worker and with two, and compares both with the model (15 % apart at most); wants an idle machine
  --images N         for that (default 600)
  --out FILE         the drawing (default docs/scale-model.svg)
`;

/** Where each is from, and which are assumed, docs/operations.md says. */
export const COSTS: UnitCosts = {
  decodeS: 0.0015,
  scoreS: 1 / 90,
  archiveS: 0.00025,
  segmentS: 0.05,
  candidateS: 0.0000002,
  messageS: 0.002,
  followS: 0.002,
  imageBytes: 50_000,
  rowBytes: 649,
  candidateBytes: 178,
};
const GPU_IMAGES_AS = 3000;

const IMAGES = 1_000_000_000;
const WORKERS = [1, 2, 3, 5, 8, 12, 20, 32, 50, 80, 120, 200, 320, 500, 700, 1000];
const MOST_APART = 0.15;

const common = {
  cores: 8,
  decoders: 8,
  shards: 16,
  candidates: 5,
  storeRequestsAS: 3500,
  storeBytesAS: 5e9,
  brokerBytesAS: 1e9,
  inline: false,
};

/** Scenarios that are drawn: the same system, and what is added to it where it bends */
const SCENARIOS: readonly {
  readonly name: string;
  readonly costs: UnitCosts;
  readonly at: (workers: number) => Deployment;
}[] = [
  {
    name: "CPU scorers, 256 partitions",
    costs: COSTS,
    at: (workers) => ({ ...common, workers, engines: 8, onGpu: false, partitions: 256, segmentRecords: 1024 }),
  },
  {
    name: "GPU scorers, 256 partitions",
    costs: { ...COSTS, scoreS: 1 / GPU_IMAGES_AS },
    at: (workers) => ({ ...common, workers, engines: 1, onGpu: true, partitions: 256, segmentRecords: 1024 }),
  },
  {
    name: "GPU, 1,024 partitions, 8 x",
    costs: { ...COSTS, scoreS: 1 / GPU_IMAGES_AS },
    at: (workers) => ({
      ...common,
      ...{ workers, engines: 1, onGpu: true, partitions: 1024, segmentRecords: 8192 },
      ...{ storeBytesAS: 40e9, brokerBytesAS: 8e9 },
    }),
  },
];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      measure: { type: "string" },
      images: { type: "string", default: "600" },
      out: { type: "string", default: packageFile(join("docs", "scale-model.svg")) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const lines: Line[] = [];
  const found = SCENARIOS.map(({ name, costs, at }) => {
    const where = bends(costs, at, WORKERS);
    console.log(`\n${name}`);
    console.log("  workers   images/s   days for 1 B   lag, s   limited by");
    for (const workers of WORKERS) {
      const { imagesAS, limit, lagS } = predict(costs, at(workers));
      console.log(
        `  ${String(workers).padStart(7)} ${String(Math.round(imagesAS)).padStart(10)} ${(IMAGES / imagesAS / 86_400).toFixed(2).padStart(14)} ${lagS.toFixed(2).padStart(8)}   ${limit.name}`,
      );
    }
    for (const { workers, limit } of where.slice(1)) console.log(`  from ${workers} on add ${limit.add}`);
    lines.push({
      name,
      points: WORKERS.map((workers) => [workers, predict(costs, at(workers)).imagesAS]),
      marks: where.slice(1).map(({ workers, imagesAS, limit }) => ({ at: [workers, imagesAS], said: limit.name })),
    });
    return { name, bends: where };
  });
  await writeFile(
    values.out,
    logLogChart("1 B images: images a second by scorers", { x: "scorers", y: "images a second" }, lines),
  );
  console.log(`\ndrawn: ${values.out}`);
  const validated = values.measure === undefined ? null : await validate(values.measure, Number(values.images));
  if (values.json) console.log(JSON.stringify({ name: "scale-model", costs: COSTS, found, validated }));
  return validated?.isNear === false ? 1 : 0;
}

async function validate(teacher: string, images: number) {
  const cores = availableParallelism();
  console.log(
    `\n${counted(images, "picture")} of 500 x 375 on ${cores} cores; load before ${loadavg()[0]!.toFixed(1)}`,
  );
  const { costs, validations } = await measureAndValidate(teacher, images, cores, (line) => {
    console.log(line);
  });
  console.log(
    `  an image: decode ${(costs.decodeS * 1000).toFixed(2)} ms, score ${(costs.scoreS * 1000).toFixed(2)} ms, archive ${(costs.archiveS * 1000).toFixed(3)} ms`,
  );
  for (const { workers, measuredAS, predictedAS, ratio, limit } of validations)
    console.log(
      `  ${workers}: measured ${measuredAS.toFixed(1)}, predicted ${predictedAS.toFixed(1)} a second (${limit}): ${((ratio - 1) * 100).toFixed(0)} %`,
    );
  const isNear = validations.every(({ ratio }) => Math.abs(ratio - 1) <= MOST_APART);
  console.log(isNear ? "  within 15 %" : "  more than 15 % apart: is the machine idle?");
  return { costs, validations, isNear };
}

process.exitCode = await main();
