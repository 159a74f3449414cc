// First: the library looks once, when it is loaded.
import "./vendor-telemetry.js";
import { readFile, stat } from "node:fs/promises";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { SluiceError, messageOf } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { packageVersion, providerLibrary, unavailable } from "./backends.js";
import { foldNormalise } from "./fold-normalise.js";
import {
  checkInput,
  inputDims,
  loadFailure,
  noSuchEmbedding,
  type ModelRunner,
  type RunnerOutput,
  type RunnerSetup,
} from "./model-runner.js";
import {
  noSuchOutput,
  outputKindOf,
  trialDims,
  trialInput,
  type ModelShapes,
  type ShapeChoices,
} from "./model-shapes.js";

/** Loads an ONNX model with one of onnxruntime's execution providers. Throws E_ENGINE_LOAD, _SHAPE, _UNAVAILABLE. */
export async function loadOnnx(setup: RunnerSetup, provider: string): Promise<ModelRunner> {
  const { card } = setup;
  const path = join(setup.folder, card.weights.files[0]!.path);
  const folded = provider === "cpu" ? await loadFolded(setup, path) : null;
  const session = folded?.session ?? (await createSession(card, path, provider, setup));
  try {
    const input = folded?.input ?? inputOf(card, session);
    const fixedBatch = checkInput(card, input.dims);
    const outputName = chooseOutput(card, session);
    const embeddingName = embeddingOf(card, session);
    const outputNames = embeddingName === undefined ? [outputName] : [outputName, embeddingName];
    return {
      name: "onnxruntime-node",
      version: packageVersion("onnxruntime-node"),
      backend: provider,
      device: provider === "cpu" ? `cpu (${cpus()[0]?.model ?? process.arch})` : `gpu ${setup.device ?? 0}`,
      fixedBatch,
      takes: folded === null ? "tensor" : "pixels",
      async run(values, count) {
        const tensor =
          values instanceof Float32Array
            ? new Tensor("float32", values, inputDims(card, count))
            : new Tensor("uint8", values, inputDims({ input: { ...card.input, layout: "NHWC" } }, count));
        const outputs = await session.run({ [input.name]: tensor }, outputNames);
        const floatsOf = (name: string): RunnerOutput => {
          const { data, dims, type } = outputs[name]!;
          if (!(data instanceof Float32Array)) throw notFloat(card, "output", name, type);
          return { values: data, dims };
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

/** A larger model is loaded from its file: folding takes its size in memory twice more for a moment. */
const MOST_FOLDED_BYTES = 512 * 1024 ** 2;

interface Folded {
  readonly session: InferenceSession;
  readonly input: { readonly name: string; readonly dims: readonly (number | null)[] };
}

/** The model with the normalisation folded in; null where that cannot be done, for whatever reason: the plain way says what is wrong. */
async function loadFolded(setup: RunnerSetup, path: string): Promise<Folded | null> {
  const { card } = setup;
  // More files than one: the model names them by paths, and bytes have none.
  if (card.weights.files.length > 1) return null;
  try {
    if ((await stat(path)).size > MOST_FOLDED_BYTES) return null;
    const folded = foldNormalise(await readFile(path), card);
    if (folded === null) return null;
    const session = await InferenceSession.create(folded.model, sessionOptions(setup, ["cpu"]));
    return { session, input: { name: folded.inputName, dims: folded.dims } };
  } catch {
    return null;
  }
}

function sessionOptions(
  { threads }: Pick<RunnerSetup, "threads">,
  executionProviders: InferenceSession.ExecutionProviderConfig[],
): InferenceSession.SessionOptions {
  return { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3, executionProviders };
}

/** Loads an ONNX file on the CPU, runs it once and tells its shapes. Throws E_ENGINE_LOAD, E_ENGINE_SHAPE, E_IMAGE_SCORES. */
export async function inspectOnnx(path: string, choices: ShapeChoices = {}): Promise<ModelShapes> {
  const name = basename(path);
  const session = await createSession({ name, format: "onnx" }, path, "cpu", { threads: 1 });
  try {
    const input = inputOf({ name }, session);
    const dims = trialDims(input.dims, choices);
    const feeds = { [input.name]: new Tensor("float32", trialInput(dims), dims) };
    const outputs = await session.run(feeds).catch((cause: unknown) => {
      throw loadFailure({ format: "onnx" }, path, cause);
    });
    const { outputName: asked, embeddingName } = choices;
    for (const one of [asked, embeddingName]) {
      if (one !== undefined && !session.outputNames.includes(one)) throw noSuchOutput(one, path, session.outputNames);
    }
    const outputName = asked ?? session.outputNames.find((output) => (outputs[output]?.dims.length ?? 0) >= 2);
    const output = outputName === undefined ? undefined : outputs[outputName];
    if (outputName === undefined || output === undefined || !(output.data instanceof Float32Array)) {
      throw notFloat({ name }, "output", session.outputNames.join(", "), output?.type ?? "no tensor of rows");
    }
    const width = output.data.length / dims[0]!;
    const kind = outputKindOf(output.data.subarray(0, width), path);
    return {
      inputName: input.name,
      inputDims: input.dims,
      outputNames: session.outputNames,
      outputName,
      width,
      kind,
      ...embeddingShape(embeddingName, outputs, dims[0]!),
    };
  } finally {
    await session.release();
  }
}

function embeddingShape(
  name: string | undefined,
  outputs: InferenceSession.OnnxValueMapType,
  count: number,
): Pick<ModelShapes, "embedding"> {
  const output = name === undefined ? undefined : outputs[name];
  if (name === undefined || output === undefined) return {};
  if (!(output.data instanceof Float32Array)) throw notFloat({ name }, "output", name, output.type);
  return { embedding: { name, size: output.data.length / count } };
}

async function createSession(
  card: Pick<ModelCard, "name" | "format">,
  path: string,
  provider: string,
  setup: Pick<RunnerSetup, "threads" | "device">,
): Promise<InferenceSession> {
  const { device } = setup;
  try {
    const executionProviders = providersFor(provider, device, (name) => providerLibrary(name) !== null);
    return await InferenceSession.create(path, sessionOptions(setup, executionProviders));
  } catch (error) {
    if (provider === "cpu") throw loadFailure(card, path, error);
    // Is it the provider or the model?
    const plain = await InferenceSession.create(path, sessionOptions(setup, ["cpu"])).catch((cause: unknown) => {
      throw loadFailure(card, path, cause);
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

function inputOf(card: Pick<ModelCard, "name">, session: InferenceSession): { name: string; dims: (number | null)[] } {
  const inputs = session.inputMetadata;
  const only = inputs[0];
  if (only === undefined || inputs.length !== 1) {
    throw new SluiceError(
      "E_ENGINE_SHAPE",
      `Expected teacher ${card.name} to have one input, found ${inputs.length}: ${session.inputNames.join(", ")}. Export it with the image alone.`,
      { expected: 1, found: session.inputNames },
    );
  }
  if (!only.isTensor || only.type !== "float32") {
    throw notFloat(card, "input", only.name, only.isTensor ? only.type : "no tensor");
  }
  return { name: only.name, dims: only.shape.map((dim) => (typeof dim === "number" ? dim : null)) };
}

function chooseOutput(card: ModelCard, session: InferenceSession): string {
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

function notFloat(card: Pick<ModelCard, "name">, end: "input" | "output", name: string, found: string): SluiceError {
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected ${end} ${name} of teacher ${card.name} to be a float32 tensor, found ${found}. Export the model in float32.`,
    { expected: "float32", found },
  );
}
