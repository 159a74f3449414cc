import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { nativeAbsence } from "../connectors/native-tfjs.js";
import { writeCardBeside } from "../connectors/engine/teacher/teacher-files.js";
import { describeWeights } from "../connectors/engine/teacher/weights-digest.js";
import { cached, repositoryFolder } from "./cache.js";
import { interleave, type Bench, type Measures } from "./harness.js";
import { measureProcess } from "./measured-process.js";
import { pythonWith } from "./python-peers.js";
import { TENSORFLOW_PACKAGES } from "./score/packages.js";
import { pixelsFile } from "./score/pixels-file.js";

const OURS = "Sluice";
const PEER = "TensorFlow";
const PYTHON_ENVIRONMENT = { PYTHONDONTWRITEBYTECODE: "1", CUDA_VISIBLE_DEVICES: "-1" };
const ENTRY = "saved_model.pb";

/** u8 pixels to logits of a SavedModel on the processor: the native TensorFlow.js against Python's TensorFlow, of the same version. */
export const bench: Bench = async ({ tiny, print }) => {
  const nothing = { name: "tfjs", ours: {}, peers: {}, ratios: {} };
  const absence = nativeAbsence("node");
  if (absence !== null) {
    print(`skipped: no native TensorFlow.js, because ${absence}`);
    return nothing;
  }
  if (tiny) {
    print("skipped: the SavedModel is made by TensorFlow for Python, which is too large for a tiny run");
    return nothing;
  }
  const python = await pythonWith(TENSORFLOW_PACKAGES, print);
  if (python === null) return nothing;
  const model = await savedModel(python);
  const pixels = await pixelsFile(64);
  const ours: Record<string, Measures> = {};
  const peers: Record<string, Measures> = {};
  const ratios: Record<string, number> = {};
  const cores = availableParallelism();
  for (const workers of new Set([1, cores])) {
    for (const batch of [1, 16]) {
      const images = 256 * workers;
      const setting = `${workers} worker${workers > 1 ? "s" : ""} of one thread, batch ${batch}`;
      print(`SavedModel of MobileNetV2 at 224 x 224, ${images} images, ${setting}`);
      const args = [pixels, String(workers), String(batch), String(images)];
      const script = join(import.meta.dirname, "score", "ours.js");
      const medians = await interleave(
        [
          {
            name: OURS,
            run: () => measureProcess(process.execPath, [script, join(model, ENTRY), ...args, "node"]),
          },
          {
            name: PEER,
            run: () => measureProcess(python, [peersScript(), "score", model, ...args], PYTHON_ENVIRONMENT),
          },
        ],
        3,
        print,
      );
      const [mine, theirs] = [medians.get(OURS)!, medians.get(PEER)!];
      if (Math.abs(theirs.meanLogit! - mine.meanLogit!) > 1e-4 * mine.meanLogit!) {
        throw new Error(`${PEER} computed logits of ${theirs.meanLogit!}, ${OURS} of ${mine.meanLogit!}`);
      }
      ours[setting] = mine;
      peers[setting] = theirs;
      ratios[`${setting}: images/s over ${PEER} (at least 0.9)`] = mine.imagesPerSecond! / theirs.imagesPerSecond!;
      ratios[`${setting}: images/CPU s over ${PEER}`] = mine.imagesPerCpuSecond! / theirs.imagesPerCpuSecond!;
    }
  }
  return { name: "tfjs", ours, peers, ratios };
};

/** MobileNetV2 of Keras, with random weights, as Keras exports it, and its card. Returns the folder. */
function savedModel(python: string): Promise<string> {
  return cached("keras-mobile-net-1", async (folder) => {
    await measureProcess(python, [peersScript(), "make", folder], PYTHON_ENVIRONMENT);
    const others = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.name !== ENTRY)
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
    await writeCardBeside(join(folder, ENTRY), {
      schemaVersion: 1,
      name: "keras-mobile-net",
      format: "saved-model",
      weights: await describeWeights(folder, [ENTRY, ...others.sort()]),
      input: { width: 224, height: 224, layout: "NHWC", colour: "rgb" },
      resize: { kernel: "linear", mode: "crop", shortSide: 256, shrinkOnLoad: true },
      normalise: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      output: { kind: "logits" },
      labels: Array.from({ length: 1000 }, (_, at) => `class-${at}`),
      temperature: 1,
    });
  });
}

/** Python is not compiled: it is run from the sources. */
function peersScript(): string {
  return join(repositoryFolder(), "bench", "tfjs", "peers.py");
}
