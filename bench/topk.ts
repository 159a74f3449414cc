import { join } from "node:path";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { pythonWith } from "./python-peers.js";
import { compactedArchive } from "./rebuild/compacted.js";

const PEER_PACKAGES = ["duckdb==2.0.0", "polars==2.1.0", "datafusion==55.0.0", "pyarrow==26.0.1", "numpy==2.4.6"];
const ENGINES = ["DuckDB window", "DuckDB max_by", "Polars", "DataFusion"];
/** Of the engines, those that are run on plain columns too: one line a candidate, in the format that each reads fastest */
const PLAIN = ["DuckDB max_by", "Polars"];
const NUMPY = "numpy argpartition";
const REBUILD = "Sluice";
const WHATIF = "Sluice whatif";
/** It sorts all rows of all classes to number them, longer than all others together. It runs once. */
const SLOW = "DataFusion";

/**
 * From an archive's own runs to the rows of a version, with every column of its index: `sluice rebuild` up to the id, against engines that read the same
 * Parquet files, and `sluice whatif`, which stops at the counts.
 */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 20_000 : Number(process.env.SLUICE_BENCH_IMAGES ?? 10_000_000);
  const folder = await compactedArchive(images, print);
  const python = await pythonWith(PEER_PACKAGES, print);
  const plain = python === null ? folder : await plainColumns(images, folder, python);
  const ours: Record<string, Measures> = {};
  const peers: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  for (const k of tiny ? [100] : [1000, 16_000]) {
    print(`${images} images, top 32 of 1000 classes, P = 10, K = ${k}`);
    const entrant = (name: string): Entrant => ({ name, run: () => runOne(name, { folder, plain, k, python }) });
    const names = python === null ? [REBUILD, WHATIF] : [REBUILD, WHATIF, NUMPY, ...ENGINES, ...PLAIN.map(onPlain)];
    const medians = await interleave(names.filter((name) => name !== SLOW).map(entrant), tiny ? 1 : 3, print);
    if (python !== null) for (const one of await interleave([entrant(SLOW)], 1, print)) medians.set(...one);
    const mine = medians.get(REBUILD)!;
    ours[`rebuild, K = ${k}`] = mine;
    ours[`whatif, K = ${k}`] = medians.get(WHATIF)!;
    for (const [name, measures] of medians) {
      if (name === REBUILD) continue;
      if (measures.rows !== mine.rows || (name !== WHATIF && measures.placeSum !== mine.placeSum))
        throw new Error(`${name} found ${measures.rows!} rows, sum ${measures.placeSum!}: not what ${REBUILD} found`);
      if (name !== WHATIF) peers[`${name}, K = ${k}`] = measures;
    }
    if (python === null) continue;
    const others = ENGINES.map((name) => medians.get(name)!);
    const fastest = (among: readonly Measures[]): number => Math.min(...among.map(({ seconds = NaN }) => seconds));
    const goal = k > 1000 ? 1.5 : 2.5;
    ratios[`K = ${k}: fastest engine on the same runs / rebuild, seconds (at least ${goal})`] =
      fastest(others) / mine.seconds!;
    ratios[`K = ${k}: fastest engine on plain columns / rebuild, seconds`] =
      fastest(PLAIN.map((name) => medians.get(onPlain(name))!)) / mine.seconds!;
    ratios[`K = ${k}: numpy / rebuild, seconds`] = medians.get(NUMPY)!.seconds! / mine.seconds!;
    const leanest = Math.min(...others.map(({ peakAnonBytes = NaN }) => peakAnonBytes));
    ratios[`K = ${k}: peak memory of the leanest engine / rebuild (at least 1)`] = leanest / mine.peakAnonBytes!;
  }
  return { name: "topk", ours, peers, ratios };
};

function onPlain(name: string): string {
  return `${name}, plain columns`;
}

function runOne(
  name: string,
  { folder, plain, k, python }: { folder: string; plain: string; k: number; python: string | null },
): Promise<Measures> {
  const entrants = join(import.meta.dirname, "entrants");
  if (name === REBUILD) return measureProcess(process.execPath, [join(entrants, "rebuild.js"), folder, String(k)]);
  if (name === WHATIF) return measureProcess(process.execPath, [join(entrants, "whatif.js"), folder, String(k)]);
  const isPlain = name.endsWith("plain columns");
  return measureProcess(python!, [peersScript(), name, isPlain ? plain : folder, String(k)]);
}

/** The archive's rows once more: `candidates.parquet` and `.arrow`, one line a candidate, and `images.parquet` and `.arrow` */
function plainColumns(images: number, folder: string, python: string): Promise<string> {
  return cached(`topk-plain-${images}-1`, async (made) => {
    await measureProcess(python, [peersScript(), "prepare", folder, "0", made]);
  });
}

/** Python is not compiled: it is run from the sources. */
function peersScript(): string {
  return join(repositoryFolder(), "bench", "topk", "peers.py");
}
