import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache.js";
import { describe, type Bench } from "./harness.js";
import { measureProcess } from "./measured-process.js";

const MOST_ANON_BYTES = 1.5 * 2 ** 30;
const MOST_SNAPSHOT_SECONDS = 5;
const MOST_BELOW_NS = 10;
/** The first 48 bits of a state's digest, among the measures: a number, but no figure */
const DIGEST = "digestHead";

/** A hundred million images of ten candidates each, made on the fly: through one state, and through four, merged. */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 100_000 : 100_000_000;
  const k = tiny ? 100 : 16_000;
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(cacheFolder(), "billion-"));
  try {
    const run = async (name: string): Promise<Readonly<Record<string, number>>> => {
      print(`${name}: ${images} images, 10 candidates each, 1000 classes, K = ${k}`);
      const script = join(import.meta.dirname, "billion", `${name}.js`);
      const args = ["--expose-gc", script, String(images), String(k), folder];
      const measures = await measureProcess(process.execPath, args, {}, print);
      print(`  ${describe(Object.fromEntries(Object.entries(measures).filter(([name]) => name !== DIGEST)))}`);
      return measures;
    };
    const whole = await run("whole");
    const shards = await run("shards");
    if (whole[DIGEST] !== shards[DIGEST]) throw new Error("four shards merged have another digest than the whole");
    const snapshotSeconds = whole.snapshotSeconds! + whole.restoreSeconds!;
    return {
      name: "billion",
      ours: { whole, "four shards, merged": shards },
      peers: {},
      ratios: {
        "1.5 GiB / peak RssAnon (at least 1)": MOST_ANON_BYTES / whole.peakAnonBytes!,
        "1.5 GiB / peak RssAnon of the shards (at least 1)": MOST_ANON_BYTES / shards.peakAnonBytes!,
        "5 s / snapshot and restore (at least 1)": MOST_SNAPSHOT_SECONDS / snapshotSeconds,
        "10 ns / a candidate below the threshold (at least 1)": MOST_BELOW_NS / whole.belowNs!,
        "cost of a candidate in the first tenth / in the last (at least 1)": whole.firstPartNs! / whole.lastPartNs!,
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
