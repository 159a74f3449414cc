import { dirname } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { SluiceError, messageOf } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { loadNativeTfjs, type LoadedNative, type NativeTfjs } from "../../native-tfjs.js";
import { unavailable } from "../backends.js";
import { tfjsFiles } from "./files.js";

/** A model of any of the tfjs formats: what is common to them. */
export interface TfjsModel {
  /** null where unknown */
  readonly inputDims: readonly (number | null)[] | null;
  /** "uint8" where it takes whole numbers: given float32, they are rounded */
  readonly inputType: "float32" | "uint8";
  readonly outputNames: readonly string[];
  /** The values of one of its constants or weights that has few of them; null where there is none of that name, or it is larger */
  readonly constantOf: (name: string) => readonly number[] | null;
  /** The outputs at these places of `outputNames` */
  predict(input: tf.Tensor4D, places: readonly number[]): tf.Tensor[];
  dispose(): void;
}

export type TfjsFormat = Exclude<ModelCard["format"], "onnx">;

/** Makes `backend` the one that runs. Returns the native binding where it is one. */
export async function startTfjsBackend(backend: string, threads: number): Promise<LoadedNative | null> {
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

/** `path` is the entry file. `name` is the teacher's, for messages. Throws E_ENGINE_SHAPE, and whatever the libraries throw. */
export async function loadTfjsModel(
  { name, format }: { readonly name: string; readonly format: TfjsFormat },
  path: string,
  native: NativeTfjs | null,
): Promise<TfjsModel> {
  switch (format) {
    case "tfjs-layers": {
      const { loadLayersModel } = await import("@tensorflow/tfjs-layers");
      (await import("./keras-layers.js")).registerKerasLayers();
      const model = await loadLayersModel(tfjsFiles(path)).catch((error: unknown) => {
        throw unknownLayer(error) ?? error;
      });
      return {
        inputDims: onlyInput(name, model.inputs).shape,
        inputType: "float32",
        constantOf: (weight) =>
          valuesOf(model.weights.find(({ originalName: own }) => own === weight || own.endsWith(`/${weight}`))?.read()),
        outputNames: model.outputs.map((output) => output.sourceLayer.name),
        predict: (input, places) => placed([model.predict(input)].flat(), places),
        dispose: () => void model.dispose(),
      };
    }
    case "tfjs-graph": {
      const { loadGraphModel } = await import("@tensorflow/tfjs-converter");
      const model = await loadGraphModel(tfjsFiles(path));
      const outputNames = model.outputs.map((output) => output.name);
      const input = onlyInput(name, model.inputs);
      const shape = input.shape as readonly number[] | undefined;
      const isWhole = input.dtype === "int32";
      return {
        inputDims: shape === undefined ? null : shape.map((dim) => (dim < 0 ? null : dim)),
        inputType: isWhole ? "uint8" : "float32",
        outputNames,
        constantOf: (weight) => valuesOf(model.weights[weight]?.[0]),
        predict: (values, places) =>
          [
            model.execute(
              isWhole ? tf.cast(tf.round(values), "int32") : values,
              places.map((at) => outputNames[at]!),
            ),
          ].flat(),
        dispose: () => {
          model.dispose();
        },
      };
    }
    case "saved-model": {
      if (native === null) throw new Error("only the native backends node and node-gpu run a SavedModel");
      const model = await native.node.loadSavedModel(dirname(path));
      const sizes = onlyInput(name, model.inputs).shape?.map((dim) => dim.getSize());
      return {
        inputDims: sizes === undefined ? null : sizes.map((size) => (size < 0 ? null : size)),
        inputType: "float32",
        outputNames: Object.keys(model.outputNodeNames),
        constantOf: () => null,
        predict: (input, places) => placed([model.predict(input as never) as tf.Tensor | tf.Tensor[]].flat(), places),
        dispose: () => {
          model.dispose();
        },
      };
    }
  }
}

/** What to do about a layer that TensorFlow.js lacks; null for any other error. */
function unknownLayer(error: unknown): Error | null {
  const name = /^Unknown \w+: '?([\w>]+(?: with [\w ]+)?)/.exec(messageOf(error))?.[1];
  if (name === undefined) return null;
  return new Error(
    `TensorFlow.js has no ${name}. Make a graph model, which needs no layers: in Keras model.export("saved"), then ` +
      "`tensorflowjs_converter --input_format=tf_saved_model saved graph`; or give the SavedModel itself",
    { cause: error },
  );
}

/** Values a constant may have that is looked at: a normalisation has one a channel */
const MOST_VALUES = 768;

function valuesOf(tensor: tf.Tensor | undefined): readonly number[] | null {
  return tensor === undefined || tensor.size > MOST_VALUES ? null : Array.from(tensor.dataSync());
}

function placed(outputs: readonly tf.Tensor[], places: readonly number[]): tf.Tensor[] {
  return places.map((at) => outputs[at]!);
}

function onlyInput<T>(name: string, inputs: readonly T[]): T {
  const only = inputs[0];
  if (only !== undefined && inputs.length === 1) return only;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected teacher ${name} to have one input, found ${inputs.length}. Export it with the image alone.`,
    { expected: 1, found: inputs.length },
  );
}
