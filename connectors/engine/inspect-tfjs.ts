import * as tf from "@tensorflow/tfjs-core";
import { isSluiceError } from "../../schemas/errors.js";
import { nativeAbsence } from "../native-tfjs.js";
import { unavailable } from "./backends.js";
import { loadFailure } from "./model-runner.js";
import {
  noSuchOutput,
  outputKindOf,
  trialDims,
  trialInput,
  type ModelShapes,
  type ShapeChoices,
} from "./model-shapes.js";
import { loadTfjsModel, startTfjsBackend, type TfjsFormat } from "./tfjs-models.js";

/**
 * Loads a tfjs model or a SavedModel into this process, runs it once and tells its shapes: on wasm, else on the native library, which a
 * SavedModel needs. `path` is its entry file. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_UNAVAILABLE, E_IMAGE_SCORES.
 */
export async function inspectTfjs(format: TfjsFormat, path: string, choices: ShapeChoices): Promise<ModelShapes> {
  const backend = format === "saved-model" ? "node" : "wasm";
  const absence = backend === "node" ? nativeAbsence("node") : null;
  if (absence !== null) {
    throw unavailable(`Expected the native TensorFlow.js to read the SavedModel at ${path}, found that ${absence}.`, {
      path,
    });
  }
  const native = await startTfjsBackend(backend, 1);
  try {
    const model = await loadTfjsModel({ name: path, format }, path, native?.tfjs ?? null);
    try {
      const { inputDims, outputNames } = model;
      const dims = trialDims(inputDims ?? [null, null, null, null], choices);
      const { outputName, embeddingName } = choices;
      const placeOf = (asked: string): number => {
        const at = outputNames.findIndex((name) => name === asked || name === `${asked}:0`);
        if (at < 0) throw noSuchOutput(asked, path, outputNames);
        return at;
      };
      const at = outputName === undefined ? 0 : placeOf(outputName);
      const places = embeddingName === undefined ? [at] : [at, placeOf(embeddingName)];
      const input = tf.tensor4d(trialInput(dims), dims as [number, number, number, number]);
      const outputs = tf.tidy(() => model.predict(input, places));
      const values = Float32Array.from(await outputs[0]!.data());
      const embeddingSize = (outputs[1]?.size ?? 0) / dims[0]!;
      tf.dispose([input, ...outputs]);
      const width = values.length / dims[0]!;
      return {
        inputName: "of the model",
        inputDims: inputDims ?? [null, null, null, null],
        outputNames,
        outputName: outputNames[at]!,
        width,
        kind: outputKindOf(values.subarray(0, width), path),
        ...(embeddingName === undefined ? {} : { embedding: { name: embeddingName, size: embeddingSize } }),
      };
    } finally {
      model.dispose();
    }
  } catch (cause) {
    throw isSluiceError(cause) ? cause : loadFailure({ format }, path, cause);
  }
}
