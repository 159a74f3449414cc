import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { FoundModel } from "../identify-model.js";
import { readPreprocessing, readModelConfig } from "./hugging-face.js";
import { readOnnxMetadata } from "./onnx-metadata.js";
import { readTeachableMachine } from "./teachable-machine.js";
import { readTimm } from "./timm.js";
import { isObject, type JsonObject, type ToldCard } from "./told-card.js";
import { codeOf } from "../../../../schemas/errors.js";

export interface FoundCards {
  /** What speaks first stands first: the model itself, then the files beside it */
  readonly cards: readonly ToldCard[];
  /** JSON beside the model that may speak of it and that nobody here can read, in a sentence each */
  readonly unread: readonly string[];
}

const READERS = [readPreprocessing, readTimm, readModelConfig, readTeachableMachine] as const;
/** Names under which tools put what they know of a model; the first speak first. */
const NAMES = [
  "preprocessor_config.json",
  "processor_config.json",
  "pretrained_cfg.json",
  "config.json",
  "metadata.json",
  "model-card.json",
  "model_card.json",
  "model_config.json",
  "preprocessing.json",
  "preprocess.json",
];
/** Members shown of a file that is not read */
const SHOWN = 6;

/** Reads what stands in a model and beside it (or above its folder `onnx`) about how it is fed. */
export async function findCards(model: FoundModel): Promise<FoundCards> {
  const cards = [...readOnnxMetadata(model.onnx?.metadata ?? new Map<string, string>())];
  const unread: string[] = [];
  const folders = basename(model.folder) === "onnx" ? [model.folder, dirname(model.folder)] : [model.folder];
  const entry = model.files[0]!;
  for (const folder of folders) {
    const there = new Set(await readdir(folder));
    const own = [`${model.name}.json`, `${model.name}.card.json`, `${entry}.json`, `${entry}.card.json`];
    for (const name of [...own, ...NAMES].filter((one) => one !== entry && there.has(one))) {
      const json = await readJson(join(folder, name));
      if (json === null || isOwnCard(json)) continue;
      const read = READERS.map((reader) => reader(json, name)).filter((card) => card !== null);
      cards.push(...read.slice(0, 1));
      if (read.length === 0) unread.push(`${name} is JSON of another tool (${membersOf(json)}) and was not read.`);
    }
  }
  return { cards, unread };
}

/** Whether JSON is meant as a card of Sluice's, right or wrong. */
export function isOwnCard(json: unknown): boolean {
  return isObject(json) && ("schemaVersion" in json || ("weights" in json && "labels" in json));
}

/** The first members of an object, for messages. */
export function membersOf(json: JsonObject): string {
  const names = Object.keys(json);
  return `${names.slice(0, SHOWN).join(", ") || "empty"}${names.length > SHOWN ? ", …" : ""}`;
}

/** An object, or null where the file holds none. */
async function readJson(path: string): Promise<JsonObject | null> {
  try {
    const json: unknown = JSON.parse((await readFile(path, "utf8")).replace(/^\uFEFF/, ""));
    return isObject(json) ? json : null;
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === "EISDIR") return null;
    throw error;
  }
}
