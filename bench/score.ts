import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type Entrant, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { makeMobileNet } from "../test/fixtures/mobile-net.js";
import { pythonWith } from "./python-peers.js";
import { PILLOW_PACKAGES } from "./score/packages.js";
import { pixelsFile } from "./score/pixels-file.js";

const SEED = 1;
const OURS = "Sluice";
const PEER = "Python";
/** Its tensors are made before: what is left is the library alone */
const RUN_ONLY = "Python, run only";

/** u8 pixels to logits: the ONNX engine against Python's onnxruntime, with the same model file, threads and batch. */
export const bench: Bench = async ({ tiny, print }) => {
  const model = await cached(`mobile-net-${SEED}`, async (folder) => {
    await makeMobileNet(join(folder, "mobile-net.onnx"), { seed: SEED });
  });
  const pixels = await pixelsFile(64);
  const python = await pythonWith(PILLOW_PACKAGES, print);
  const file = join(model, "mobile-net.onnx");
  const ours: Record<string, Measures> = {};
  const peers: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  const cores = availableParallelism();
  for (const workers of tiny ? [1] : [...new Set([1, cores])]) {
    for (const batch of tiny ? [8] : [1, 16]) {
      const images = tiny ? 64 : 384 * workers;
      const setting = `${workers} worker${workers > 1 ? "s" : ""} of one thread, batch ${batch}`;
      print(`MobileNetV2 at 224 x 224, ${images} images, ${setting}`);
      const args = [file, pixels, String(workers), String(batch), String(images)];
      const entrants: Entrant[] = [
        {
          name: OURS,
          run: () => measureProcess(process.execPath, [join(import.meta.dirname, "score", "ours.js"), ...args]),
        },
        ...(python === null ? [] : [PEER, RUN_ONLY]).map((name) => ({
          name,
          run: () => measureProcess(python!, [peersScript(), name === PEER ? "python" : "run only", ...args]),
        })),
      ];
      const medians = await interleave(entrants, tiny ? 1 : 5, print);
      const mine = medians.get(OURS)!;
      ours[setting] = mine;
      for (const [name, measures] of medians) {
        if (name === OURS) continue;
        if (Math.abs(measures.meanLogit! - mine.meanLogit!) > 1e-4 * mine.meanLogit!) {
          throw new Error(`${name} computed logits of ${measures.meanLogit!}, ${OURS} of ${mine.meanLogit!}`);
        }
        peers[`${name}, ${setting}`] = measures;
        const goal = name === PEER ? " (at least 1.0)" : "";
        ratios[`${setting}: images/s over ${name}${goal}`] = mine.imagesPerSecond! / measures.imagesPerSecond!;
        ratios[`${setting}: images/CPU s over ${name}`] = mine.imagesPerCpuSecond! / measures.imagesPerCpuSecond!;
      }
    }
  }
  return { name: "score", ours, peers, ratios };
};

/** Python is not compiled: it is run from the sources. */
function peersScript(): string {
  return join(repositoryFolder(), "bench", "score", "peers.py");
}
