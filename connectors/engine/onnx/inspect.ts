import { basename } from "node:path";
import type { InferenceSession } from "onnxruntime-node";
import { chooseOutput, noSuchOutput, type TriedOutput } from "../teacher/choose-output.js";
import { innerNormalise } from "../model-file/inner-normalise.js";
import type { OnnxFile } from "../model-file/read-onnx.js";
import { loadFailure } from "../pool/model-runner.js";
import { trialDims, trialInputs, type ModelShapes, type ShapeChoices } from "../teacher/model-shapes.js";
import { createSession, floatsIn, inputOf, notFloat, tensorOf } from "./onnx-runner.js";
import { kindFromGraph, kindFromTrials } from "../teacher/output-kind.js";

/**
 * Loads an ONNX file on the CPU, runs it a few times and tells its shapes. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE, E_TEACHER_CARD where its outputs
 * leave open which one it is, E_IMAGE_SCORES.
 */
export async function inspectOnnx(path: string, file: OnnxFile, choices: ShapeChoices = {}): Promise<ModelShapes> {
  const name = basename(path);
  const session = await createSession(path, "cpu", { threads: 1 });
  try {
    const input = inputOf({ name }, session);
    const dims = trialDims(input.dims, choices);
    const numbers = session.outputMetadata.filter((output) => output.isTensor).map((output) => output.name);
    const trials: InferenceSession.OnnxValueMapType[] = [];
    for (const values of trialInputs(dims, input.type)) {
      const feeds = { [input.name]: tensorOf(values, dims, input.type) };
      const outputs = await session.run(feeds, numbers).catch((cause: unknown) => {
        throw loadFailure({ format: "onnx" }, path, cause);
      });
      trials.push(outputs);
    }
    const tried = session.outputMetadata.map((output): TriedOutput => {
      const value = trials[0]![output.name];
      return value === undefined
        ? { name: output.name, type: "seq or map", dims: [], values: null }
        : { name: output.name, type: value.type, dims: value.dims, values: floatsIn(value) };
    });
    const { embeddingName } = choices;
    const embedding = tried.find((output) => output.name === embeddingName);
    if (embeddingName !== undefined && embedding === undefined) throw noSuchOutput(embeddingName, path, tried);
    if (embedding?.values === null) throw notFloat({ name }, embedding.name, embedding.type);
    const among = tried.filter((output) => output !== embedding || output.name === choices.outputName);
    const { output, why } = chooseOutput(among, dims[0]!, path, choices);
    const width = output.values.length / dims[0]!;
    const rows = trials.map((trial) => floatsIn(trial[output.name]!)!.subarray(0, width));
    const told = kindFromTrials(rows, path);
    return {
      inputName: input.name,
      inputDims: input.dims,
      inputType: input.type,
      outputNames: session.outputNames,
      outputName: output.name,
      outputWhy: why,
      width,
      kind: kindFromGraph(file.graph.operators, output.name) ?? told,
      inside: innerNormalise(file.graph),
      ...(embedding?.values == null
        ? {}
        : { embedding: { name: embedding.name, size: embedding.values.length / dims[0]! } }),
    };
  } finally {
    await session.release();
  }
}
