// First: the library looks once, when it is loaded.
import "./vendor-telemetry.js";
import { cpus } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { SluiceError, messageOf } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { packageVersion, providerLibrary, unavailable } from "../backends.js";
import {
  checkInput,
  inputDims,
  noSuchEmbedding,
  type ModelRunner,
  type RunnerOutput,
  type RunnerSetup,
} from "../pool/model-runner.js";
import { fromHalf, toHalf } from "../model-file/half-floats.js";
import type { InputType } from "../teacher/model-shapes.js";
import { onnxLoadFailure } from "./load-failure.js";

/** Loads an ONNX model with one of onnxruntime's execution providers. Throws E_ENGINE_LOAD, _SHAPE, _UNAVAILABLE. */
export async function loadOnnx(setup: RunnerSetup, provider: string): Promise<ModelRunner> {
  const { card } = setup;
  const path = join(setup.folder, card.weights.files[0]!.path);
  const session = await createSession(path, provider, setup);
  try {
    const input = inputOf(card, session);
    const fixedBatch = checkInput(card, input.dims);
    checkInputType(card, input);
    const outputName = outputOf(card, session);
    const embeddingName = embeddingOf(card, session);
    const outputNames = embeddingName === undefined ? [outputName] : [outputName, embeddingName];
    return {
      name: "onnxruntime-node",
      version: packageVersion("onnxruntime-node"),
      backend: provider,
      device: provider === "cpu" ? `cpu (${cpus()[0]?.model ?? process.arch})` : `gpu ${setup.device ?? 0}`,
      fixedBatch,
      async run(values, count) {
        const tensor = tensorOf(values, inputDims(card, count), input.type);
        const outputs = await session.run({ [input.name]: tensor }, outputNames);
        const floatsOf = (name: string): RunnerOutput => {
          const output = outputs[name]!;
          const floats = floatsIn(output);
          if (floats === null) throw notFloat(card, name, output.type);
          return { values: floats, dims: output.dims };
        };
        const scores = floatsOf(outputName);
        return embeddingName === undefined ? scores : { ...scores, embedding: floatsOf(embeddingName) };
      },
      close: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

interface SessionInput {
  readonly name: string;
  readonly dims: readonly (number | null)[];
  readonly type: InputType;
}

function sessionOptions(
  { threads }: Pick<RunnerSetup, "threads">,
  executionProviders: InferenceSession.ExecutionProviderConfig[],
): InferenceSession.SessionOptions {
  return { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3, executionProviders };
}

/** A tensor of the model's type */
export function tensorOf(values: Float32Array, dims: readonly number[], type: InputType): Tensor {
  switch (type) {
    case "float32":
      return new Tensor("float32", values, dims);
    case "float16":
      return new Tensor("float16", Uint16Array.from(values, toHalf), dims);
    case "uint8":
      return new Tensor(
        "uint8",
        Uint8Array.from(values, (value) => Math.round(value)),
        dims,
      );
  }
}

/** The numbers of an output as float32; null for whole numbers and what is no tensor. */
export function floatsIn({ type, data }: Pick<Tensor, "type" | "data">): Float32Array | null {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  // Uint16Array, or Float16Array where the runtime has one
  if (type === "float16") {
    return data instanceof Uint16Array
      ? Float32Array.from(data, fromHalf)
      : Float32Array.from(data as ArrayLike<number>);
  }
  return null;
}

export async function createSession(
  path: string,
  provider: string,
  setup: Pick<RunnerSetup, "threads" | "device">,
): Promise<InferenceSession> {
  const { device } = setup;
  try {
    const executionProviders = providersFor(provider, device, (name) => providerLibrary(name) !== null);
    return await InferenceSession.create(path, sessionOptions(setup, executionProviders));
  } catch (error) {
    if (provider === "cpu") throw onnxLoadFailure(path, error);
    // Is it the provider or the model?
    const plain = await InferenceSession.create(path, sessionOptions(setup, ["cpu"])).catch((cause: unknown) => {
      throw onnxLoadFailure(path, cause);
    });
    await plain.release();
    throw unavailable(
      `Expected onnxruntime's provider ${provider}${device === undefined ? "" : ` on GPU ${device} (engine.devices)`}, ` +
        `found that it does not start: ${messageOf(error)}`,
      { provider, device, cause: error },
    );
  }
}

/**
 * onnxruntime's providers, best first. One runs what it can and leaves other operators to the next: TensorRT to CUDA, where its
 * library `isHere`, and at last to the processor, which must be named for that.
 */
export function providersFor(
  provider: string,
  device: number | undefined,
  isHere: (provider: string) => boolean,
): InferenceSession.ExecutionProviderConfig[] {
  if (provider === "cpu") return ["cpu"];
  const names = provider === "tensorrt" && isHere("cuda") ? ["tensorrt", "cuda"] : [provider];
  return [...names.map((name) => (device === undefined ? name : { name, deviceId: device })), "cpu"];
}

export function inputOf(card: Pick<ModelCard, "name">, session: InferenceSession): SessionInput {
  const inputs = session.inputMetadata;
  const only = inputs[0];
  if (only === undefined || inputs.length !== 1) {
    throw new SluiceError(
      "E_ENGINE_SHAPE",
      `Expected teacher ${card.name} to have one input, found ${inputs.length}: ${session.inputNames.join(", ")}. Export it with the image alone.`,
      { expected: 1, found: session.inputNames },
    );
  }
  if (!only.isTensor || !isInputType(only.type)) {
    throw new SluiceError(
      "E_ENGINE_SHAPE",
      `Expected input ${only.name} of teacher ${card.name} to be a tensor of float32, float16 or uint8, found ${only.isTensor ? only.type : "no tensor"}. Export the model with such an input.`,
      { expected: "float32", found: only.isTensor ? only.type : null },
    );
  }
  return {
    name: only.name,
    type: only.type,
    dims: only.shape.map((dim) => (typeof dim === "number" && dim > 0 ? dim : null)),
  };
}

function isInputType(type: string): type is InputType {
  return type === "float32" || type === "float16" || type === "uint8";
}

/** Bytes hold no other values than 0 to 255, whole. */
function checkInputType(card: ModelCard, { name, type }: SessionInput): void {
  const { mean, std } = card.normalise;
  if (type !== "uint8" || (mean.every((value) => value === 0) && std.every((value) => value === 1 / 255))) return;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected teacher ${card.name} to take pixels of 0 to 255, since its input ${name} is uint8, found mean [${mean.join(", ")}] and deviation [${std.join(", ")}] in its card. ` +
      `Set normalise to {"mean":[0],"std":[${1 / 255}]}, or write the card anew with --normalise bytes.`,
    { expected: "uint8", found: card.normalise },
  );
}

function outputOf(card: ModelCard, session: InferenceSession): string {
  const names = session.outputNames;
  const { name } = card.output;
  if (name !== undefined ? names.includes(name) : names.length === 1) return name ?? names[0]!;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    name === undefined
      ? `Expected teacher ${card.name} to have one output, found ${names.join(", ")}. Name the one with the classes in output.name.`
      : `Expected an output named ${name} in teacher ${card.name}, found ${names.join(", ")}.`,
    { expected: name, found: names },
  );
}

function embeddingOf(card: ModelCard, session: InferenceSession): string | undefined {
  const name = card.output.embedding?.name;
  if (name === undefined || session.outputNames.includes(name)) return name;
  throw noSuchEmbedding(card, name, session.outputNames);
}

export function notFloat(card: Pick<ModelCard, "name">, name: string, found: string): SluiceError {
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected output ${name} of teacher ${card.name} to be a tensor of float32 or float16, found ${found}. Export the model with such an output.`,
    { expected: "float32", found },
  );
}
