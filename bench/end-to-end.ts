import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type BenchOptions, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeMobileNet } from "../test/fixtures/mobile-net.js";
import { makePhotographs } from "./photographs.js";
import { pythonWith } from "./python-peers.js";
import { DAFT_PACKAGES, PILLOW_PACKAGES, PILLOW_SIMD_PACKAGES, RAY_PACKAGES } from "./score/packages.js";

const SEED = 1;
const SIZE = { width: 500, height: 375 };
/** Images a class, and the classes that an image may be chosen for: the same in ./end-to-end/steps.py */
const SELECTION = { classes: 1000, k: 100, p: 10 };
const OURS = "Sluice";

interface Peer {
  readonly name: string;
  readonly script: string;
  /** A last argument for the script */
  readonly way?: string;
  readonly packages: readonly string[];
  readonly goal: number;
}

const PEERS: readonly Peer[] = [
  { name: "Python by hand", script: "pool.py", packages: PILLOW_SIMD_PACKAGES, goal: 1.1 },
  { name: "Ray Data, one stage", script: "ray_data.py", way: "one", packages: RAY_PACKAGES, goal: 2 },
  { name: "Ray Data, two stages", script: "ray_data.py", way: "two", packages: RAY_PACKAGES, goal: 2 },
  { name: "Daft", script: "daft_frame.py", packages: DAFT_PACKAGES, goal: 1.3 },
];

/** A folder of JPEGs to archived top-32 scores and exact top-K, on all cores, against the same in Python, Ray Data and Daft. */
export const bench: Bench = async ({ tiny, print }) => {
  const images = tiny ? 64 : 1200;
  const model = await cached(`mobile-net-${SEED}`, async (folder) => {
    await makeMobileNet(join(folder, "mobile-net.onnx"), { seed: SEED });
  });
  const photographs = await cached(`photographs-${SIZE.width}x${SIZE.height}-${images}`, (folder) =>
    makePhotographs(folder, { count: images, ...SIZE, seed: SEED }),
  );
  const workers = availableParallelism();
  const files = [join(model, "mobile-net.onnx"), photographs];
  print(`${images} JPEGs of ${SIZE.width} x ${SIZE.height}, MobileNetV2 at 224 x 224, batch 16, ${workers} workers`);
  const work = await mkdtemp(join(tmpdir(), "sluice-end-to-end-"));
  try {
    const peers = await entrantsOf(tiny, print, [...files, String(workers), join(work, "archive.parquet")]);
    const ours: Entrant = {
      name: OURS,
      run: () => measureProcess(process.execPath, [join(import.meta.dirname, "entrants", "ingest.js"), ...files]),
    };
    const medians = await interleave([ours, ...peers.map(({ entrant }) => entrant)], tiny ? 1 : 3, print);
    const mine = medians.get(OURS)!;
    const ratios: Record<string, number> = {};
    for (const { name, goal } of peers) {
      const measures = medians.get(name)!;
      expectWork(name, measures, images);
      ratios[`images/s over ${name} (at least ${goal})`] = mine.imagesPerSecond! / measures.imagesPerSecond!;
      ratios[`images/CPU s over ${name}`] = measures.cpuSeconds! / mine.runCpuSeconds!;
    }
    const others: Record<string, Measures> = Object.fromEntries([...medians].filter(([name]) => name !== OURS));
    return { name: "end-to-end", ours: mine, peers: others, ratios };
  } finally {
    await rm(work, { recursive: true });
  }
};

/** The peers that are here; large ones are not installed for a tiny run. */
async function entrantsOf(tiny: boolean, print: BenchOptions["print"], args: readonly string[]) {
  const found: { name: string; goal: number; entrant: Entrant }[] = [];
  for (const { name, script, way, packages, goal } of PEERS) {
    if (tiny && packages !== PILLOW_SIMD_PACKAGES) {
      print(`  skipped: ${name} (too large for a tiny run)`);
      continue;
    }
    const python = await pythonWith(tiny ? PILLOW_PACKAGES : packages, print);
    if (python === null) continue;
    const path = join(repositoryFolder(), "bench", "end-to-end", script);
    // Python is not compiled: it is run from the sources, and leaves nothing there.
    const run = () =>
      measureProcess(python, [path, ...args, ...(way === undefined ? [] : [way])], { PYTHONDONTWRITEBYTECODE: "1" });
    found.push({ name, goal, entrant: { name, run } });
  }
  return found;
}

/** A peer that left images out, or selected too many or too few, has not done the task. */
function expectWork(name: string, { images, selected }: Measures, expected: number): void {
  const { classes, k, p } = SELECTION;
  const most = Math.min(classes * k, expected * p);
  if (images !== expected || selected === undefined || selected > most || selected < k) {
    throw new Error(`${name} scored ${images!} of ${expected} images and selected ${selected!} of at most ${most}`);
  }
}
