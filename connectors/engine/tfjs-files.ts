import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { io } from "@tensorflow/tfjs-core";

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
      const json = JSON.parse(await readFile(path, "utf8")) as io.ModelJSON;
      return io.getModelArtifactsForJSON(json, async (manifest) => {
        const files = manifest.flatMap((group) => group.paths);
        const bytes = await Promise.all(files.map((file) => readFile(join(folder, file))));
        const all = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0));
        let at = 0;
        for (const part of bytes) {
          all.set(part, at);
          at += part.length;
        }
        return [manifest.flatMap((group) => group.weights), all.buffer];
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
