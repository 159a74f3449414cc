import { cpus } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { SluiceError } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { packageVersion } from "../backends.js";
import { onlyDevice } from "../devices.js";
import {
  checkInput,
  inputDims,
  loadFailure,
  noSuchEmbedding,
  type ModelRunner,
  type RunnerOutput,
  type RunnerSetup,
} from "../pool/model-runner.js";
import { loadTfjsModel, startTfjsBackend, type TfjsFormat } from "./models.js";

/** Loads a layers model, graph model or SavedModel. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_UNAVAILABLE. */
export async function loadTfjs(setup: RunnerSetup, backend: string): Promise<ModelRunner> {
  const { card } = setup;
  const path = join(setup.folder, card.weights.files[0]!.path);
  const { device } = setup;
  // TensorFlow reads it when its library is loaded; this process is this worker's own.
  if (device !== undefined)
    process.env["CUDA_VISIBLE_DEVICES"] = onlyDevice(device, process.env["CUDA_VISIBLE_DEVICES"]);
  const native = await startTfjsBackend(backend, setup.threads);
  const subject = { name: card.name, format: card.format as TfjsFormat };
  const model = await loadTfjsModel(subject, path, native?.tfjs ?? null).catch((cause: unknown) => {
    throw cause instanceof SluiceError ? cause : loadFailure(card, path, cause);
  });
  const places = [chooseOutput(card, model.outputNames), ...embeddingAt(card, model.outputNames)];
  const fixedBatch = checkInput(card, model.inputDims ?? [null, null, null, null]);
  return {
    name: "tfjs",
    version: packageVersion("@tensorflow/tfjs-core") + (native === null ? "" : ` with TensorFlow ${native.tensorflow}`),
    backend,
    device: native?.isOnGpu === true ? `gpu ${device ?? 0}` : `cpu (${cpus()[0]?.model ?? process.arch})`,
    fixedBatch,
    async run(tensor, count) {
      const outputs = tf.tidy(() => model.predict(tf.tensor4d(tensor, inputDims(card, count)), places));
      try {
        const [scores, embedding] = await Promise.all(outputs.map((output) => floatsOf(card, output)));
        return embedding === undefined ? scores! : { ...scores!, embedding };
      } finally {
        tf.dispose(outputs);
      }
    },
    async close() {
      model.dispose();
    },
  };
}

async function floatsOf(card: ModelCard, output: tf.Tensor): Promise<RunnerOutput> {
  const values = await output.data();
  if (!(values instanceof Float32Array)) throw wrongOutput(card, `dtype float32`, output.dtype);
  return { values, dims: output.shape };
}

/** The index of the embedding, if the card names one. */
function embeddingAt(card: ModelCard, names: readonly string[]): number[] {
  const name = card.output.embedding?.name;
  if (name === undefined) return [];
  const at = indexOf(names, name);
  if (at < 0) throw noSuchEmbedding(card, name, names);
  return [at];
}

/** A graph model's names end in ":0", which a card may leave out. */
function indexOf(names: readonly string[], name: string): number {
  return names.findIndex((found) => found === name || found === `${name}:0`);
}

/** The index of the output that the card means. */
function chooseOutput(card: ModelCard, names: readonly string[]): number {
  const { name } = card.output;
  const at = name === undefined ? (names.length === 1 ? 0 : -1) : indexOf(names, name);
  if (at >= 0) return at;
  throw wrongOutput(
    card,
    name === undefined ? "one output (or output.name in its card)" : `output ${name}`,
    names.join(", "),
  );
}

function wrongOutput(card: ModelCard, expected: string, found: string): SluiceError {
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected teacher ${card.name} to have ${expected}, found ${found}. Name the output with the classes in the card's output.name.`,
    { expected, found },
  );
}
