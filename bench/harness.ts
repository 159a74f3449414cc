import { cpus, totalmem } from "node:os";

export interface BenchOptions {
  /** A run of seconds that shows that everything works; its figures mean nothing */
  readonly tiny: boolean;
  /** One line for people; never JSON */
  readonly print: (line: string) => void;
}

/** One run of one entrant: named measures, such as `seconds`, `cpuSeconds`, `peakAnonBytes`. */
export type Measures = Readonly<Record<string, number>>;

/** Someone who does the task: ours or a peer. */
export interface Entrant {
  readonly name: string;
  run(): Promise<Measures>;
}

/** What a bench ends with; printed as one JSON object under `--json`. */
export interface Report {
  readonly name: string;
  readonly machine: Machine;
  readonly ours: Readonly<Record<string, unknown>>;
  readonly peers: Readonly<Record<string, unknown>>;
  /** Greater is better for us; the name says what is compared with what */
  readonly ratios: Readonly<Record<string, number>>;
}

export type Bench = (options: BenchOptions) => Promise<Omit<Report, "machine">>;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly runtime: string;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    runtime: `node ${process.versions.node}`,
  };
}

/**
 * Runs every entrant once a round, in turned order each other round, so that a machine that grows slower or busier does
 * so for all. Returns the median of every measure by entrant.
 */
export async function interleave(
  entrants: readonly Entrant[],
  rounds: number,
  print: BenchOptions["print"],
): Promise<Map<string, Measures>> {
  const runs = new Map<string, Measures[]>(entrants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const entrant of round % 2 === 0 ? entrants : entrants.toReversed()) {
      const measures = await entrant.run();
      runs.get(entrant.name)!.push(measures);
      print(`  round ${round + 1}/${rounds}  ${entrant.name.padEnd(32)} ${describe(measures)}`);
    }
  }
  return new Map([...runs].map(([name, each]) => [name, medians(each)]));
}

function medians(runs: readonly Measures[]): Measures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name] ?? NaN))]));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `12.3 MiB`, `4.56 s`: by the unit that a measure's name ends with. */
export function describe(measures: Measures): string {
  return Object.entries(measures)
    .map(([name, value]) => {
      if (name.endsWith("Bytes")) return `${name.slice(0, -5)} ${(value / 2 ** 20).toFixed(1)} MiB`;
      if (name === "seconds") return `${value.toFixed(3)} s`;
      if (name.toLowerCase().endsWith("seconds")) return `${name.slice(0, -7)} ${value.toFixed(3)} s`;
      if (name.endsWith("PerSecond")) return `${short(value)} ${name.slice(0, -9)}/s`;
      return `${name} ${short(value)}`;
    })
    .join("  ");
}

/** Three digits or so: `20.7 M`. */
export function short(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (Math.abs(value) >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
