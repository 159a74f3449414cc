import { join } from "node:path";
import { cachedArchive, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { pythonWith } from "./python-peers.js";
import { makeRows } from "./topk/rows.js";
import { CLASSES, TOP_M } from "./topk/shape.js";

const PEER_PACKAGES = ["duckdb==2.0.0", "polars==2.1.0", "datafusion==55.0.0", "pyarrow==26.0.1", "numpy==2.4.6"];
const ENGINES = ["DuckDB window", "DuckDB max_by", "Polars", "DataFusion"];
const NUMPY = "numpy argpartition";
const OURS = "Sluice";
/** Images a segment: `archive.segmentRecords` of an archive that is read more often than it is waited for */
const SEGMENT_IMAGES = 16_384;
/** DataFusion sorts all rows, of all classes, to number them: longer than all others together. It runs once. */
const SLOW = "DataFusion";

/** Of every class the K best images, best first, from the format that each reads fastest. */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 50_000 : 5_000_000;
  const python = await pythonWith(PEER_PACKAGES, print);
  const folder = await rowsFolder(images, python);
  const warmUp = await rowsFolder(tiny ? 50_000 : 200_000, python);
  const rows = images * TOP_M;
  const ours: Record<string, Measures> = {};
  const peers: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  for (const k of tiny ? [100] : [1000, 16_000]) {
    print(`${rows} rows (image, class, score), ${CLASSES} classes, K = ${k}`);
    const entrant = (name: string): Entrant => ({
      name,
      run: async () => {
        const args = [folder, String(k), warmUp];
        const measures =
          name === OURS
            ? await measureProcess(process.execPath, [join(import.meta.dirname, "topk", "ours.js"), ...args])
            : await measureProcess(python!, [peersScript(), name, ...args]);
        return { ...measures, rowsPerSecond: rows / measures.seconds! };
      },
    });
    const names = python === null ? [OURS] : [OURS, NUMPY, ...ENGINES.filter((name) => name !== SLOW)];
    const medians = await interleave(names.map(entrant), tiny ? 1 : 5, print);
    if (python !== null) for (const one of await interleave([entrant(SLOW)], 1, print)) medians.set(...one);
    const mine = medians.get(OURS)!;
    ours[`K = ${k}`] = mine;
    for (const [name, measures] of medians) {
      if (measures.rows !== mine.rows || measures.imageSum !== mine.imageSum) {
        throw new Error(`${name} found ${measures.rows!} rows, sum ${measures.imageSum!}: not what ${OURS} found`);
      }
      if (name !== OURS) peers[`${name}, K = ${k}`] = measures;
    }
    if (python === null) continue;
    const others = [...medians].filter(([name]) => name !== OURS).map(([, measures]) => measures);
    const engines = ENGINES.map((name) => medians.get(name)!.rowsPerSecond!);
    ratios[`K = ${k}: rows/s over the fastest engine (at least 3)`] = mine.rowsPerSecond! / Math.max(...engines);
    ratios[`K = ${k}: rows/s over numpy (at least 1.2)`] = mine.rowsPerSecond! / medians.get(NUMPY)!.rowsPerSecond!;
    const leanest = Math.min(...others.map(({ peakAnonBytes = NaN }) => peakAnonBytes));
    ratios[`K = ${k}: peak memory of the leanest over ours (at least 1)`] = leanest / mine.peakAnonBytes!;
  }
  return { name: "topk", ours, peers, ratios };
};

function rowsFolder(images: number, python: string | null): Promise<string> {
  const name = `topk-${images}-${python === null ? "archive" : "all"}`;
  return cachedArchive(name, async (folder) => {
    await makeRows(folder, images, SEGMENT_IMAGES);
    if (python !== null) await measureProcess(python, [peersScript(), "prepare", folder, "0"]);
  });
}

/** Python is not compiled: it is run from the sources. */
function peersScript(): string {
  return join(repositoryFolder(), "bench", "topk", "peers.py");
}
