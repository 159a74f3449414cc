import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { isSluiceError } from "../../../schemas/errors.js";
import { nativeAbsence } from "../../native-tfjs.js";
import { unavailable } from "../backends.js";
import { normaliseOfSteps, TAKES_BYTES, type StepGraph } from "../model-file/inner-normalise.js";
import { graphSteps } from "./graph-steps.js";
import { layerSteps } from "./layer-steps.js";
import { loadFailure } from "../pool/model-runner.js";
import { chooseOutput, noSuchOutput, type TriedOutput } from "../teacher/choose-output.js";
import { trialDims, trialInputs, type ModelShapes, type ShapeChoices } from "../teacher/model-shapes.js";
import { kindFromGraph, kindFromTrials } from "../teacher/output-kind.js";
import { loadTfjsModel, startTfjsBackend, type TfjsFormat, type TfjsModel } from "./models.js";

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
      const places = outputNames.map((_, at) => at);
      const trials: TriedOutput[][] = [];
      for (const values of trialInputs(dims, model.inputType)) {
        const outputs = tf.tidy(() =>
          model.predict(tf.tensor4d(values, dims as [number, number, number, number]), places),
        );
        const read = outputs.map(async (output, at): Promise<TriedOutput> => {
          const numbers = output.dtype === "float32" ? Float32Array.from(await output.data()) : null;
          return { name: outputNames[at]!, type: output.dtype, dims: output.shape, values: numbers };
        });
        trials.push(await Promise.all(read));
        tf.dispose(outputs);
      }
      const tried = trials[0]!;
      const { embeddingName } = choices;
      const embedding = tried.find(({ name }) => name === embeddingName || name === `${embeddingName ?? ""}:0`);
      if (embeddingName !== undefined && embedding === undefined) throw noSuchOutput(embeddingName, path, tried);
      const { output, why } = chooseOutput(
        tried.filter((one) => one !== embedding),
        dims[0]!,
        path,
        choices,
      );
      const at = tried.findIndex(({ name }) => name === output.name);
      const width = output.values.length / dims[0]!;
      const steps = await stepsOf(format, path, model);
      return {
        inputName: "of the model",
        inputDims: inputDims ?? [null, null, null, null],
        inputType: model.inputType,
        outputNames,
        outputName: output.name,
        outputWhy: why,
        width,
        kind:
          kindFromGraph(steps?.steps ?? [], output.name.replace(/:0$/, "")) ??
          kindFromTrials(
            trials.map((trial) => trial[at]!.values!.subarray(0, width)),
            path,
          ),
        inside: model.inputType === "uint8" ? TAKES_BYTES : steps === null ? null : normaliseOfSteps(steps),
        ...(embedding === undefined || embeddingName === undefined
          ? {}
          : { embedding: { name: embeddingName, size: (embedding.values?.length ?? 0) / dims[0]! } }),
      };
    } finally {
      model.dispose();
    }
  } catch (cause) {
    throw isSluiceError(cause) ? cause : loadFailure({ format }, path, cause);
  }
}

/** A model's operators or layers, as its model.json has them; null where nothing is read. */
async function stepsOf(format: TfjsFormat, path: string, { constantOf }: TfjsModel): Promise<StepGraph | null> {
  if (format === "saved-model") return null;
  const { modelTopology } = JSON.parse(await readFile(path, "utf8")) as { readonly modelTopology?: unknown };
  return (format === "tfjs-layers" ? layerSteps : graphSteps)(modelTopology, constantOf);
}
