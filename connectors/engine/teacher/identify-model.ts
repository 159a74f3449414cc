import { open, readdir, readFile } from "node:fs/promises";
import { basename, dirname, extname, isAbsolute, join, normalize, resolve } from "node:path";
import { SluiceError, messageOf, orNull } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { foreignBytes, HEAD_BYTES } from "../model-file/foreign-bytes.js";
import { readOnnx, type OnnxFile } from "../model-file/read-onnx.js";
import { ABSENT, statIfThere } from "../../stat-if-there.js";
import { assertWeightsThere } from "./weights-digest.js";

/** A model on disk, as its files say it. */
export interface FoundModel {
  readonly format: ModelCard["format"];
  /** Where its files are, and where its card goes */
  readonly folder: string;
  /** The files that hold it, relative to `folder`, the entry file first */
  readonly files: readonly string[];
  readonly name: string;
  /** Whether the folder is the model's alone, so that the card is called model-card.json */
  readonly ownsFolder: boolean;
  /** What an ONNX file says; null for other formats */
  readonly onnx: OnnxFile | null;
}

const TO_ONNX = "load the model in PyTorch and write it with torch.onnx.export";
const FROM_KERAS = "in Keras write model.export(<folder>), a SavedModel, or convert it with tensorflowjs_converter";

/** What people have that runs nowhere here, and how to export it. */
const EXPORTS: Readonly<Record<string, string>> = {
  ".pt": `a PyTorch file: ${TO_ONNX}`,
  ".pth": `a PyTorch file: ${TO_ONNX}`,
  ".ckpt": `a checkpoint of a training: ${TO_ONNX}`,
  ".bin": `weights without their model: ${TO_ONNX}`,
  ".safetensors": `weights without their model: ${TO_ONNX}`,
  ".pkl": `a Python pickle, which is never loaded: ${TO_ONNX}, or with skl2onnx`,
  ".joblib": "a Python pickle, which is never loaded: export it with skl2onnx",
  ".h5": `a Keras file: ${FROM_KERAS}`,
  ".hdf5": `a Keras file: ${FROM_KERAS}`,
  ".keras": `a Keras file: ${FROM_KERAS}`,
  ".pb": "a frozen TensorFlow graph: convert it with tensorflowjs_converter or tf2onnx, or give a SavedModel's folder",
  ".tflite": "a TensorFlow Lite file: export the model that it was made of as a SavedModel or as ONNX",
  ".ort": "onnxruntime's own format: use the .onnx file that it was made of",
  ".engine": "a TensorRT plan: use the .onnx file that it was made of",
  ".plan": "a TensorRT plan: use the .onnx file that it was made of",
  ".trt": "a TensorRT plan: use the .onnx file that it was made of",
  ".mlmodel": "a Core ML model: export the model that it was made of as ONNX",
  ".mlpackage": "a Core ML model: export the model that it was made of as ONNX",
  ".xml": "an OpenVINO model: use the .onnx file that it was made of",
};

/**
 * Finds the model that `path` names: an .onnx file, a tfjs model.json, a SavedModel, or a folder with one of them.
 * Throws E_TEACHER_CARD, E_TEACHER_WEIGHTS where a file that the model names is missing, E_ENGINE_LOAD for a damaged one.
 */
export async function identifyModel(path: string): Promise<FoundModel> {
  const found = await statIfThere(resolve(path));
  if (found === null) throw notAModel(path, "nothing there");
  return found.isDirectory() ? identifyFolder(resolve(path)) : identifyFile(resolve(path), false);
}

async function identifyFolder(folder: string): Promise<FoundModel> {
  const names = (await readdir(folder)).sort();
  const onnx = names.filter((name) => name.endsWith(".onnx"));
  if (onnx.length > 1) throw notAModel(folder, `${onnx.length} .onnx files (${onnx.join(", ")}): name one`);
  const entry = names.find((name) => name === "saved_model.pb" || name === "model.json") ?? onnx[0];
  if (entry !== undefined) return identifyFile(join(folder, entry), true);
  // Where Hugging Face's exporter puts it, below its config.json
  if (names.includes("onnx")) return identifyFolder(join(folder, "onnx"));
  const foreign = names.map((name) => EXPORTS[extname(name).toLowerCase()]).find((said) => said !== undefined);
  throw notAModel(
    folder,
    `a folder without any (${names.slice(0, 5).join(", ") || "empty"})${foreign === undefined ? "" : `, but ${foreign}`}`,
  );
}

async function identifyFile(path: string, ownsFolder: boolean): Promise<FoundModel> {
  const folder = dirname(path);
  const file = basename(path);
  const extension = extname(path).toLowerCase();
  if (extension === ".onnx") {
    const onnx = await readOnnxFile(path);
    const external = onnx.externalFiles.map((location) => locationOf(path, location));
    for (const location of external) await assertWeightsThere(folder, location, file);
    return {
      format: "onnx",
      folder,
      files: [file, ...external],
      name: basename(file, extname(file)),
      ownsFolder,
      onnx,
    };
  }
  const own = { folder, name: basename(folder), ownsFolder: true, onnx: null };
  if (file === "saved_model.pb") {
    const variables = (await orNull(readdir(join(folder, "variables")), ...ABSENT)) ?? [];
    for (const location of shardsOf(variables)) await assertWeightsThere(folder, `variables/${location}`, file);
    const files = [file, ...variables.sort().map((name) => `variables/${name}`)];
    return { format: "saved-model", ...own, files };
  }
  if (extension === ".json") return { ...own, ...(await identifyTfjs(path)) };
  const found = EXPORTS[extension] ?? foreignBytes(await headOf(path));
  throw notAModel(path, found ?? `a file ${extension === "" ? "without an extension" : `*${extension}`}`);
}

/** Every file of a SavedModel's variables, as the names of those that are there count them */
function shardsOf(names: readonly string[]): string[] {
  const total = Math.max(0, ...names.map((name) => Number(/^variables\.data-\d+-of-(\d+)$/.exec(name)?.[1] ?? 0)));
  if (total === 0) return [];
  const number = (value: number): string => String(value).padStart(5, "0");
  const data = Array.from({ length: total }, (_, at) => `variables.data-${number(at)}-of-${number(total)}`);
  return ["variables.index", ...data];
}

async function identifyTfjs(path: string): Promise<Pick<FoundModel, "format" | "files">> {
  interface TfjsJson {
    readonly format?: unknown;
    readonly modelTopology?: { readonly node?: unknown };
    readonly weightsManifest?: readonly { readonly paths?: readonly string[] }[];
  }
  let json: TfjsJson;
  try {
    json = JSON.parse(await readFile(path, "utf8")) as TfjsJson;
  } catch (cause) {
    throw notAModel(path, `no JSON (${messageOf(cause)})`);
  }
  if (json.modelTopology === undefined || json.weightsManifest === undefined) {
    throw notAModel(path, "JSON without modelTopology and weightsManifest, which a tfjs model has");
  }
  const isGraph = json.format === "graph-model" || json.modelTopology.node !== undefined;
  const weights = json.weightsManifest.flatMap(({ paths = [] }) => paths).map((location) => locationOf(path, location));
  for (const location of weights) await assertWeightsThere(dirname(path), location, basename(path));
  return { format: isGraph ? "tfjs-graph" : "tfjs-layers", files: [basename(path), ...weights] };
}

/** Reads an .onnx file. Throws E_TEACHER_CARD where it is of another kind, E_ENGINE_LOAD where it is damaged. */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const foreign = foreignBytes(await headOf(path));
  if (foreign !== null) throw notAModel(path, foreign);
  try {
    return readOnnx(await readFile(path));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new SluiceError(
      "E_ENGINE_LOAD",
      `Expected a model of format onnx at ${path}, found bytes that are none or that break off (${error.message}). Copy the file again.`,
      { path, cause: error },
    );
  }
}

/** A file of weights relative to the model's folder. Throws E_TEACHER_CARD where it lies elsewhere. */
export function locationOf(model: string, location: string): string {
  const path = normalize(location);
  if (!isAbsolute(location) && !path.startsWith("..")) return path;
  throw new SluiceError(
    "E_TEACHER_CARD",
    `Expected the weights of ${model} in its folder or below, found that it names ${location}. Write the model again with its weights beside it.`,
    { path: model, location },
  );
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function notAModel(path: string, found: string): SluiceError {
  return new SluiceError(
    "E_TEACHER_CARD",
    `Expected an .onnx file, a TensorFlow.js model.json, or a SavedModel's folder at ${path}, found ${found}.`,
    { path },
  );
}
