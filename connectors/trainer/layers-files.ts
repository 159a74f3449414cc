import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { io } from "@tensorflow/tfjs-core";
import { messageOf, SluiceError } from "../../schemas/errors.js";

/** Names of a saved model's files, the entry file first. */
export const MODEL_FILES = ["model.json", "weights.bin"] as const;

/** Writes a model as `model.json` and `weights.bin` into a folder. Throws E_STORE_IO. */
export function savingTo(folder: string): io.IOHandler {
  return {
    async save(artifacts) {
      const weights = io.CompositeArrayBuffer.join(artifacts.weightData);
      const json: io.ModelJSON = {
        modelTopology: artifacts.modelTopology ?? {},
        format: artifacts.format ?? "layers-model",
        generatedBy: artifacts.generatedBy ?? "",
        convertedBy: artifacts.convertedBy ?? null,
        weightsManifest: [{ paths: [MODEL_FILES[1]], weights: artifacts.weightSpecs ?? [] }],
      };
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, MODEL_FILES[1]), new Uint8Array(weights));
        await writeFile(join(folder, MODEL_FILES[0]), JSON.stringify(json));
      } catch (cause) {
        throw new SluiceError("E_STORE_IO", `Expected to write a model into ${folder}, found: ${messageOf(cause)}.`, {
          cause,
          retryable: true,
        });
      }
      return { modelArtifactsInfo: io.getModelArtifactsInfoForJSON(artifacts) };
    },
  };
}

/** Reads the model whose entry file (model.json) is at `path`. */
export function loadingFrom(path: string): io.IOHandler {
  return {
    async load() {
      const json = JSON.parse(await readFile(path, "utf8")) as io.ModelJSON;
      return io.getModelArtifactsForJSON(json, async (manifest) => {
        const names = manifest.flatMap((group) => group.paths);
        const files = await Promise.all(names.map((name) => readFile(join(dirname(path), name))));
        return [manifest.flatMap((group) => group.weights), new Uint8Array(Buffer.concat(files)).buffer];
      });
    },
  };
}
