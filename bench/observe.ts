import { consoleCost } from "./observe/console-cost.js";
import { metricsCost } from "./observe/metrics-cost.js";
import type { Bench, BenchOptions, Measures } from "./harness.js";

/** One thing that looks on, and what it costs an ingest that is looked at. */
export interface Looking {
  readonly ours: Readonly<Record<string, Measures>>;
  readonly peers: Readonly<Record<string, Measures>>;
  readonly ratios: Readonly<Record<string, number>>;
}

const LOOKERS: readonly ((options: BenchOptions) => Promise<Looking>)[] = [metricsCost, consoleCost];

/** What it costs to be seen: an ingest with somebody looking on against the same one alone, in pairs. */
export const bench: Bench = async (options) => {
  const all: Looking[] = [];
  for (const look of LOOKERS) all.push(await look(options));
  return {
    name: "observe",
    ours: Object.assign({}, ...all.map(({ ours }) => ours)) as Looking["ours"],
    peers: Object.assign({}, ...all.map(({ peers }) => peers)) as Looking["peers"],
    ratios: Object.assign({}, ...all.map(({ ratios }) => ratios)) as Looking["ratios"],
  };
};
