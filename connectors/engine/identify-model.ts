import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { SluiceError, messageOf } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";

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
}

/** What people have that runs nowhere here, and how to export it. */
const EXPORTS: Readonly<Record<string, string>> = {
  ".pt": "a PyTorch file: export it with torch.onnx.export",
  ".pth": "a PyTorch file: export it with torch.onnx.export",
  ".safetensors": "weights without their model: load them in PyTorch and export with torch.onnx.export",
  ".h5": "a Keras file: write model.export(<folder>), a SavedModel, or convert it with tensorflowjs_converter",
  ".keras": "a Keras file: write model.export(<folder>), a SavedModel, or convert it with tensorflowjs_converter",
  ".tflite": "a TensorFlow Lite file: export the model that it was made of as a SavedModel or as ONNX",
};

/**
 * Finds the model that `path` names: an .onnx file, a tfjs model.json, a SavedModel, or a folder with one of them.
 * Throws E_TEACHER_CARD.
 */
export async function identifyModel(path: string): Promise<FoundModel> {
  const found = await stat(resolve(path)).catch(() => null);
  if (found === null) throw notAModel(path, "nothing there");
  return found.isDirectory() ? identifyFolder(resolve(path)) : identifyFile(resolve(path), false);
}

async function identifyFolder(folder: string): Promise<FoundModel> {
  const names = (await readdir(folder)).sort();
  const onnx = names.filter((name) => name.endsWith(".onnx"));
  if (onnx.length > 1) throw notAModel(folder, `${onnx.length} .onnx files (${onnx.join(", ")}): name one`);
  const entry = names.find((name) => name === "saved_model.pb" || name === "model.json") ?? onnx[0];
  if (entry === undefined) throw notAModel(folder, `a folder without any (${names.slice(0, 5).join(", ") || "empty"})`);
  return identifyFile(join(folder, entry), true);
}

async function identifyFile(path: string, ownsFolder: boolean): Promise<FoundModel> {
  const folder = dirname(path);
  const file = basename(path);
  const extension = extname(path).toLowerCase();
  if (extension === ".onnx") {
    const external = await existing(folder, [`${file}.data`, `${file}_data`]);
    return { format: "onnx", folder, files: [file, ...external], name: basename(file, extname(file)), ownsFolder };
  }
  const own = { folder, name: basename(folder), ownsFolder: true };
  if (file === "saved_model.pb") {
    const variables = await readdir(join(folder, "variables")).catch(() => []);
    const files = [file, ...variables.sort().map((name) => `variables/${name}`)];
    return { format: "saved-model", ...own, files };
  }
  if (extension === ".json") return { ...own, ...(await identifyTfjs(path)) };
  throw notAModel(path, EXPORTS[extension] ?? `a file ${extension === "" ? "without an extension" : `*${extension}`}`);
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
  const weights = json.weightsManifest.flatMap(({ paths = [] }) => paths);
  return { format: isGraph ? "tfjs-graph" : "tfjs-layers", files: [basename(path), ...weights] };
}

async function existing(folder: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) if ((await stat(join(folder, name)).catch(() => null)) !== null) found.push(name);
  return found;
}

function notAModel(path: string, found: string): SluiceError {
  return new SluiceError(
    "E_TEACHER_CARD",
    `Expected an .onnx file, a TensorFlow.js model.json, or a SavedModel's folder at ${path}, found ${found}.`,
    { path },
  );
}
