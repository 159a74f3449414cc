import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached } from "./cache.js";
import { interleave, type Bench, type BenchOptions, type Entrant } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { compactedArchive, segmentsArchive } from "./rebuild/compacted.js";
import { FORMATS } from "./scores/formats.js";

const PARQUET_WASM = "parquet-wasm@0.8.0";
const K = 1000;

/** What a file format costs for the archive's columns, and what rebuilding from compacted files costs over rebuilding from segments. */
export const bench: Bench = async ({ tiny, print }) => {
  const formats = await measureFormats(tiny, print);
  const { compacted, segments } = await measureRebuild(tiny, print);
  const ours = formats.get("compacted")!;
  const arrow = formats.get("arrow segments")!;
  const others = [...formats].filter(([name]) => name !== "compacted" && name !== "arrow segments");
  const fastest = (measure: string): number => Math.max(...others.map(([, measures]) => measures[measure]!));
  return {
    name: "scores",
    ours: { format: ours, rebuild: compacted },
    peers: { ...Object.fromEntries(formats), "rebuild from segments": segments },
    ratios: {
      "rows/s written: compacted / fastest other writer of Parquet":
        ours.writeRowsPerSecond! / fastest("writeRowsPerSecond"),
      "rows/s read: compacted / fastest other reader of Parquet":
        ours.readRowsPerSecond! / fastest("readRowsPerSecond"),
      "rows/s read: compacted / Arrow segments": ours.readRowsPerSecond! / arrow.readRowsPerSecond!,
      "bytes: Arrow segments / compacted": arrow.fileBytes! / ours.fileBytes!,
      "rebuild, seconds: from segments / from compacted (at least 0.77)": segments.seconds! / compacted.seconds!,
      "rebuild, CPU seconds: from segments / from compacted": segments.cpuSeconds! / compacted.cpuSeconds!,
    },
  };
};

async function measureFormats(tiny: boolean, print: BenchOptions["print"]) {
  const images = tiny ? 8192 : 40_960;
  const folder = await segmentsArchive(images);
  const wasm = await wasmFolder(print);
  const script = join(import.meta.dirname, "entrants", "score-file.js");
  const names = Object.keys(FORMATS).filter((name) => wasm !== null || !name.startsWith("parquet-wasm"));
  print(`${images} rows, top 32, ${images / 2048} row groups`);
  const medians = await interleave(
    names.map((name) => ({
      name,
      run: () => measureProcess(process.execPath, [script, name, folder, String(images), wasm ?? ""]),
    })),
    tiny ? 1 : 3,
    print,
  );
  const sums = new Set([...medians.values()].map(({ checksum }) => checksum));
  if (sums.size !== 1) throw new Error(`the formats do not give the same rows: ${[...sums].join(", ")}`);
  return medians;
}

async function measureRebuild(tiny: boolean, print: BenchOptions["print"]) {
  const images = tiny ? 20_000 : 1_000_000;
  const folder = await segmentsArchive(images);
  const compactedFolder = await compactedArchive(images, print);
  const script = join(import.meta.dirname, "entrants", "rebuild.js");
  const entrant = (name: string, from: string): Entrant => ({
    name,
    run: () => measureProcess(process.execPath, [script, from, String(K)]),
  });
  const [segments, compacted] = ["rebuild from segments", "rebuild from compacted files"];
  print(`rebuild of ${images} images, K = ${K}`);
  const medians = await interleave(
    [entrant(segments, folder), entrant(compacted, compactedFolder)],
    tiny ? 1 : 5,
    print,
  );
  return { segments: medians.get(segments)!, compacted: medians.get(compacted)! };
}

/** A folder of the cache with parquet-wasm in it; null, and a line that says why, where it cannot be installed. */
async function wasmFolder(print: BenchOptions["print"]): Promise<string | null> {
  try {
    return await cached(PARQUET_WASM.replace("@", "-"), async (folder) => {
      await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
      const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", PARQUET_WASM];
      execFileSync("npm", args, { cwd: folder, stdio: "pipe" });
    });
  } catch (error) {
    print(`  skipped: ${PARQUET_WASM} (${error instanceof Error ? error.message.split("\n")[0]! : String(error)})`);
    return null;
  }
}
