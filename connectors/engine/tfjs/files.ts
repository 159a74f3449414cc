import { counted } from "../../../schemas/counted.js";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { io } from "@tensorflow/tfjs-core";
import { asKeras2 } from "./keras-topology.js";
import { asLayerWeights } from "./keras-weight-names.js";

const TOPOLOGY = "model.json";
const WEIGHTS = "weights.bin";

/**
 * Reads and writes a tfjs model (layers or graph) as files: `model.json` and the weight files that it names, or one
 * `weights.bin` when written. `path` is the model.json itself.
 */
export function tfjsFiles(path: string): io.IOHandler {
  const folder = dirname(path);
  return {
    async load() {
      const read = JSON.parse(await readFile(path, "utf8")) as io.ModelJSON;
      const json = { ...read, modelTopology: asKeras2(read.modelTopology) as io.ModelJSON["modelTopology"] };
      return io.getModelArtifactsForJSON(json, async (manifest) => {
        const files = manifest.flatMap((group) => group.paths);
        const bytes = await Promise.all(files.map((file) => readFile(join(folder, file))));
        for (const [at, group] of manifest.entries()) assertWhole(group, bytesOf(manifest, bytes, at));
        const all = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0));
        let at = 0;
        for (const part of bytes) {
          all.set(part, at);
          at += part.length;
        }
        const specs = manifest.flatMap((group) => group.weights);
        const names = asLayerWeights(
          json.modelTopology,
          specs.map(({ name }) => name),
        );
        return [specs.map((spec, at) => ({ ...spec, name: names[at]! })), all.buffer];
      });
    },
    async save(artifacts) {
      const weights = io.CompositeArrayBuffer.join(artifacts.weightData);
      const json: io.ModelJSON = {
        modelTopology: artifacts.modelTopology ?? {},
        format: artifacts.format ?? "layers-model",
        generatedBy: artifacts.generatedBy ?? "",
        convertedBy: artifacts.convertedBy ?? null,
        weightsManifest: [{ paths: [WEIGHTS], weights: artifacts.weightSpecs ?? [] }],
      };
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, WEIGHTS), new Uint8Array(weights));
      await writeFile(join(folder, path.slice(folder.length + 1) || TOPOLOGY), JSON.stringify(json));
      return { modelArtifactsInfo: io.getModelArtifactsInfoForJSON(artifacts) };
    },
  };
}

type Group = io.WeightsManifestConfig[number];

/** Bytes that the files of a group have */
function bytesOf(manifest: readonly Group[], bytes: readonly Uint8Array[], at: number): number {
  const from = manifest.slice(0, at).reduce((sum, group) => sum + group.paths.length, 0);
  return bytes.slice(from, from + manifest[at]!.paths.length).reduce((sum, part) => sum + part.length, 0);
}

const TYPE_BYTES: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  complex64: 8,
  float16: 2,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

function assertWhole({ paths, weights }: Group, found: number): void {
  let expected = 0;
  for (const { shape, dtype, quantization } of weights) {
    const size = TYPE_BYTES[quantization?.dtype ?? dtype];
    if (size === undefined) return;
    expected += size * shape.reduce((product, side) => product * side, 1);
  }
  if (expected !== found)
    throw new RangeError(
      `${paths.join(", ")} of ${counted(found, "byte")} where the model names ${expected}: copy it again`,
    );
}
