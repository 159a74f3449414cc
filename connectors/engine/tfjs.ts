import { cpus } from "node:os";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { SluiceError, messageOf } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { loadNativeTfjs, type LoadedNative, type NativeTfjs } from "../native-tfjs.js";
import { packageVersion, unavailable } from "./backends.js";
import { checkInput, inputDims, loadFailure, type ModelRunner, type RunnerSetup } from "./model-runner.js";
import { tfjsFiles } from "./tfjs-files.js";

/** A model of any of the tfjs formats: what is common to them. */
interface TfjsModel {
  /** null where unknown */
  readonly inputDims: readonly (number | null)[] | null;
  predict(input: tf.Tensor4D): tf.Tensor;
  dispose(): void;
}

/** Loads a layers model, graph model or SavedModel. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_UNAVAILABLE. */
export async function loadTfjs(setup: RunnerSetup, backend: string): Promise<ModelRunner> {
  const { card } = setup;
  const path = join(setup.folder, card.weights.files[0]!.path);
  const native = await startBackend(backend, setup.threads);
  const model = await loadModel(card, path, native?.tfjs ?? null).catch((cause: unknown) => {
    throw cause instanceof SluiceError ? cause : loadFailure(card, path, cause);
  });
  const fixedBatch = checkInput(card, model.inputDims ?? [null, null, null, null]);
  return {
    name: "tfjs",
    version: packageVersion("@tensorflow/tfjs-core") + (native === null ? "" : ` with TensorFlow ${native.tensorflow}`),
    backend,
    device: native?.isOnGpu === true ? "gpu 0" : `cpu (${cpus()[0]?.model ?? process.arch})`,
    fixedBatch,
    async run(tensor, count) {
      const output = tf.tidy(() => model.predict(tf.tensor4d(tensor, inputDims(card, count))));
      try {
        const values = await output.data();
        if (!(values instanceof Float32Array)) throw wrongOutput(card, `dtype float32`, output.dtype);
        return { values, dims: output.shape };
      } finally {
        output.dispose();
      }
    },
    async close() {
      model.dispose();
    },
  };
}

/** Makes `backend` the one that runs. Returns the native binding where it is one. */
async function startBackend(backend: string, threads: number): Promise<LoadedNative | null> {
  // Otherwise the library prints advertisements for its other backends.
  tf.enableProdMode();
  try {
    if (backend === "node" || backend === "node-gpu") {
      const native = loadNativeTfjs(backend, { threads });
      if (!(await tf.setBackend("tensorflow"))) throw new Error("tf.setBackend refused tensorflow");
      return native;
    }
    await (backend === "wasm" ? import("@tensorflow/tfjs-backend-wasm") : import("@tensorflow/tfjs-backend-cpu"));
    if (!(await tf.setBackend(backend))) throw new Error(`tf.setBackend refused ${backend}`);
    await tf.ready();
    return null;
  } catch (cause) {
    throw unavailable(`Expected the tfjs backend ${backend}, found that it does not start: ${messageOf(cause)}`, {
      backend,
      cause,
    });
  }
}

async function loadModel(card: ModelCard, path: string, native: NativeTfjs | null): Promise<TfjsModel> {
  switch (card.format) {
    case "tfjs-layers": {
      const { loadLayersModel } = await import("@tensorflow/tfjs-layers");
      const model = await loadLayersModel(tfjsFiles(path));
      const at = chooseOutput(
        card,
        model.outputs.map((output) => output.sourceLayer.name),
      );
      return {
        inputDims: onlyInput(card, model.inputs).shape,
        predict: (input) => [model.predict(input)].flat()[at]!,
        dispose: () => void model.dispose(),
      };
    }
    case "tfjs-graph": {
      const { loadGraphModel } = await import("@tensorflow/tfjs-converter");
      const model = await loadGraphModel(tfjsFiles(path));
      const names = model.outputs.map((output) => output.name);
      const name = names[chooseOutput(card, names)]!;
      const shape = onlyInput(card, model.inputs).shape as readonly number[] | undefined;
      return {
        inputDims: shape === undefined ? null : shape.map((dim) => (dim < 0 ? null : dim)),
        predict: (input) => [model.execute(input, name)].flat()[0]!,
        dispose: () => {
          model.dispose();
        },
      };
    }
    case "saved-model": {
      if (native === null) throw new Error("only the native backends node and node-gpu run a SavedModel");
      const model = await native.node.loadSavedModel(dirname(path));
      const sizes = onlyInput(card, model.inputs).shape?.map((dim) => dim.getSize());
      return {
        inputDims: sizes === undefined ? null : sizes.map((size) => (size < 0 ? null : size)),
        predict: (input) => {
          const result = model.predict(input as never) as tf.Tensor | Record<string, tf.Tensor>;
          if (result instanceof tf.Tensor) return result;
          const names = Object.keys(result);
          return result[names[chooseOutput(card, names)]!]!;
        },
        dispose: () => {
          model.dispose();
        },
      };
    }
    case "onnx":
      throw new Error("tfjs does not run ONNX models");
  }
}

function onlyInput<T>(card: ModelCard, inputs: readonly T[]): T {
  const only = inputs[0];
  if (only !== undefined && inputs.length === 1) return only;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected teacher ${card.name} to have one input, found ${inputs.length}. Export it with the image alone.`,
    { expected: 1, found: inputs.length },
  );
}

/** The index of the output that the card means. A graph model's names end in ":0", which the card may leave out. */
function chooseOutput(card: ModelCard, names: readonly string[]): number {
  const { name } = card.output;
  const at =
    name === undefined ? (names.length === 1 ? 0 : -1) : names.findIndex((n) => n === name || n === `${name}:0`);
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
