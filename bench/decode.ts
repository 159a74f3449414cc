import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type BenchOptions, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makePhotographs } from "./photographs.js";
import { pythonWith } from "./python-peers.js";
import { PILLOW_PACKAGES, PILLOW_SIMD_PACKAGES } from "./score/packages.js";

const OURS = "Sluice";
/** Python runs from the sources, and leaves nothing there. */
const PYTHON_ENVIRONMENT = { PYTHONDONTWRITEBYTECODE: "1" };
/** Whether JPEGs are decoded whole, or at a half, a quarter or an eighth where that leaves enough pixels */
type Way = "full" | "shrunk";

interface Setting {
  readonly width: number;
  readonly height: number;
  readonly files: number;
  readonly images: number;
  /** Where nothing is left to shrink, one way says all */
  readonly ways: readonly Way[];
}

const SETTINGS: readonly Setting[] = [
  { width: 500, height: 375, files: 64, images: 1500, ways: ["full"] },
  { width: 2000, height: 1500, files: 12, images: 240, ways: ["full", "shrunk"] },
];

/** JPEG to 224 x 224: the decoder against Pillow-SIMD, images a CPU second, and the likeness of each to a reference in floating point. */
export const bench: Bench = async ({ tiny, print }) => {
  const { python, pillow } = await peersPython(tiny, print);
  const ours: Record<string, Measures> = {};
  const peers: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  for (const setting of SETTINGS) {
    const { width, height, ways } = setting;
    const files = tiny ? Math.min(setting.files, width > 1000 ? 2 : 64) : setting.files;
    const images = tiny ? files : setting.images;
    const folder = await cached(`photographs-${width}x${height}-${files}`, (made) =>
      makePhotographs(made, { count: files, width, height, seed: 1 }),
    );
    for (const way of ways) {
      const name = `${width} x ${height}, ${way === "full" ? "whole" : "shrunk on load"}`;
      print(
        `JPEG of ${width} x ${height} to 224 x 224, ${way === "full" ? "decoded whole" : "shrunk on load"}, ${images} images`,
      );
      const medians = await measure({ folder, way, images, python, pillow, rounds: tiny ? 1 : 5, print });
      const mine = medians.get(OURS)!;
      ours[name] = mine;
      for (const [peer, measures] of medians) {
        if (peer === OURS) continue;
        peers[`${peer}, ${name}`] = measures;
        const goal = peer === pillow ? " (at least 1.0)" : "";
        ratios[`${name}: images/CPU s over ${peer}${goal}`] = mine.imagesPerCpuSecond! / measures.imagesPerCpuSecond!;
        ratios[`${name}: images/s over ${peer}`] = mine.imagesPerSecond! / measures.imagesPerSecond!;
      }
    }
  }
  return { name: "decode", ours, peers, ratios };
};

interface Measured {
  readonly folder: string;
  readonly way: Way;
  readonly images: number;
  readonly python: string | null;
  readonly pillow: string;
  readonly rounds: number;
  readonly print: BenchOptions["print"];
}

/** The medians of every entrant, with `psnr` (dB) where there is a reference to compare with. */
async function measure({
  folder,
  way,
  images,
  python,
  pillow,
  rounds,
  print,
}: Measured): Promise<Map<string, Measures>> {
  const work = await mkdtemp(join(tmpdir(), "sluice-decode-"));
  try {
    const script = join(repositoryFolder(), "bench", "decode", "peers.py");
    const args = (file: string) => [folder, way, String(images), String(availableParallelism()), join(work, file)];
    if (python !== null)
      await measureProcess(
        python,
        [script, "reference", folder, way, "0", "1", join(work, "reference")],
        PYTHON_ENVIRONMENT,
      );
    const reference = python === null ? null : new Float64Array((await readFile(join(work, "reference"))).buffer);
    const entrant = (name: string, file: string, command: string, before: readonly string[]): Entrant => ({
      name,
      run: async () => {
        const measures = await measureProcess(command, [...before, ...args(file)], PYTHON_ENVIRONMENT);
        return reference === null ? measures : { ...measures, psnr: psnr(await readFile(join(work, file)), reference) };
      },
    });
    return await interleave(
      [
        entrant(OURS, "ours", process.execPath, [join(import.meta.dirname, "decode", "ours.js")]),
        ...(python === null
          ? []
          : [
              entrant(pillow, "pillow", python, [script, "pillow"]),
              entrant(`turbojpeg and ${pillow}`, "turbojpeg", python, [script, "turbojpeg"]),
            ]),
      ],
      rounds,
      print,
    );
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Pillow-SIMD is compiled, which takes long and headers: not in a tiny run, and where it fails Pillow takes its place. */
async function peersPython(tiny: boolean, print: BenchOptions["print"]) {
  const simd = tiny ? null : await pythonWith(PILLOW_SIMD_PACKAGES, print);
  if (simd !== null) return { python: simd, pillow: "Pillow-SIMD" };
  print("  Pillow in place of Pillow-SIMD");
  return { python: await pythonWith(PILLOW_PACKAGES, print), pillow: "Pillow" };
}

/** Peak signal to noise ratio, dB, of u8 pixels against ones in floating point. */
function psnr(found: Uint8Array, reference: Float64Array): number {
  if (found.length !== reference.length) throw new Error(`found ${found.length} values, expected ${reference.length}`);
  let squares = 0;
  for (const [at, value] of found.entries()) squares += (value - reference[at]!) ** 2;
  return 10 * Math.log10((255 * 255 * found.length) / squares);
}
