import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { counted } from "../../../schemas/counted.js";
import { areInvented } from "../../../schemas/class-names.js";
import { SluiceError, messageOf, orNull } from "../../../schemas/errors.js";
import { MODEL_CARD_FILE, modelCardSchema, weightsDigest, type ModelCard } from "../../../schemas/model-card.js";
import { isOwnCard, membersOf } from "./cards/find-cards.js";
import { isObject } from "./cards/told-card.js";
import type { TeacherFiles } from "../engine.js";
import { identifyModel, locationOf, readOnnxFile } from "./identify-model.js";
import { statIfThere } from "../../stat-if-there.js";
import { assertWeightsThere, describeFile, wrongWeights } from "./weights-digest.js";

export interface LoadedTeacher extends TeacherFiles {
  /** null where the card was inferred */
  readonly cardPath: string | null;
  /** What was taken for granted because the model has no card, one sentence each: to be shown to the user */
  readonly assumptions: readonly string[];
}

/**
 * Reads a teacher: a folder with model-card.json, a card, or a model file with its card beside it (`<name>.card.json`
 * or model-card.json). An .onnx file without a card gets one inferred. Sizes and digests of all files are verified.
 * Throws E_TEACHER_CARD, E_TEACHER_WEIGHTS (and what `inferCard` throws).
 */
export async function loadTeacher(path: string): Promise<LoadedTeacher> {
  const found = await findCard(resolve(path));
  // Only a model without a card needs onnxruntime in this process.
  if (found.card === null) return (await import("./infer-card.js")).inferCard(found.model);
  const folder = dirname(found.card);
  const card = await readCard(found.card);
  await verifyWeights(card, folder);
  return { ...(await namedLater(card, found.card)), folder, cardPath: found.card };
}

/** A card whose classes nobody had named takes their names from a file of labels that was put beside the model since. */
async function namedLater(card: ModelCard, cardPath: string): Promise<Pick<LoadedTeacher, "card" | "assumptions">> {
  if (!areInvented(card.labels)) return { card, assumptions: [] };
  const { labelFilesBeside, labelsFitting, readLabelFile } = await import("./label-file.js");
  const entry = join(dirname(cardPath), card.weights.files[0]!.path);
  const stem = basename(stemOf(entry));
  for (const path of labelFilesBeside(dirname(entry), stem)) {
    // In a folder of several models a file without a model's name may be another one's.
    if (basename(cardPath) !== MODEL_CARD_FILE && !basename(path).startsWith(`${stem}.`)) continue;
    const read = await readLabelFile(path);
    if (read === null) continue;
    const labels = [...labelsFitting(read, card.labels.length, path)];
    return { card: { ...card, labels }, assumptions: [`Classes are named by ${basename(path)}.`] };
  }
  return { card, assumptions: [] };
}

/** Writes `card` as `<folder>/model-card.json`, readable by `loadTeacher`. Returns its path. */
export function writeCard(folder: string, card: ModelCard): Promise<string> {
  return writeCardAt(join(folder, MODEL_CARD_FILE), card);
}

/** Writes `card` beside a model's file, as `<name>.card.json`. Returns its path. */
export function writeCardBeside(modelPath: string, card: ModelCard): Promise<string> {
  return writeCardAt(cardPathBeside(modelPath), card);
}

/** Writes `card` as the file `path`. Returns it. */
export async function writeCardAt(path: string, card: ModelCard): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  // Whole or not at all: a card that is written anew may be the only thing that knows the labels.
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, `${JSON.stringify(modelCardSchema.parse(card), null, 2)}\n`);
  await rename(partial, path);
  return path;
}

/** Where the card of a model file goes that shares its folder with others. */
export function cardPathBeside(modelPath: string): string {
  return `${stemOf(modelPath)}.card.json`;
}

function stemOf(path: string): string {
  return join(dirname(path), basename(path, extname(path)));
}

async function findCard(path: string): Promise<{ card: string } | { card: null; model: string }> {
  const kind = await kindOf(path);
  if (kind === null) throw noCard(path, "a model or a model card", "nothing there");
  if (kind === "folder") {
    const card = join(path, MODEL_CARD_FILE);
    if (await isCard(card)) return { card };
    const model = await orNull(identifyModel(path), "E_TEACHER_CARD");
    if (model === null) throw noCard(path, `${MODEL_CARD_FILE} in the folder`, "none, and no model that needs none");
    return findCard(join(model.folder, model.files[0]!));
  }
  const name = basename(path);
  if (name === MODEL_CARD_FILE || name.endsWith(".card.json")) return { card: path };
  const stem = stemOf(path);
  for (const card of [`${stem}.card.json`, `${path}.card.json`, join(dirname(path), MODEL_CARD_FILE)]) {
    if (await isCard(card)) return { card };
  }
  if (extname(path) === ".onnx") return { card: null, model: path };
  throw noCard(path, `its card beside the model (${basename(stem)}.card.json or ${MODEL_CARD_FILE})`, "none");
}

/** Whether a file is there that is a card of ours or is meant as one; another tool's JSON of that name is not. */
export async function isCard(path: string): Promise<boolean> {
  if ((await kindOf(path)) !== "file") return false;
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    return !isObject(json) || isOwnCard(json);
  } catch (error) {
    // It has a card's name: `readCard` says what is wrong with it.
    if (error instanceof SyntaxError) return true;
    throw error;
  }
}

async function readCard(path: string): Promise<ModelCard> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new SluiceError("E_TEACHER_CARD", `Expected a model card in JSON at ${path}, found: ${messageOf(cause)}.`, {
      cause,
      path,
    });
  }
  if (isObject(json) && !isOwnCard(json)) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected a model card of Sluice at ${path}, found JSON of another tool (${membersOf(json)}). Give the model's file: \`sluice teacher add <model>\` writes a card beside it.`,
      { path },
    );
  }
  const parsed = modelCardSchema.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the card"}: ${issue.message}`);
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected a model card at ${path}, found wrong members: ${issues.join("; ")}.`,
      {
        path,
        members: parsed.error.issues.map((issue) => issue.path.join(".")),
      },
    );
  }
  const digest = weightsDigest(parsed.data.weights.files);
  if (digest !== parsed.data.weights.sha256) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected weights.sha256 in ${path} to be the digest of its files' digests, ${digest}, found ${parsed.data.weights.sha256}.`,
      { path, members: ["weights.sha256"] },
    );
  }
  return parsed.data;
}

async function verifyWeights(card: ModelCard, folder: string): Promise<void> {
  for (const expected of card.weights.files) {
    if (isAbsolute(expected.path)) {
      throw new SluiceError(
        "E_TEACHER_CARD",
        `Expected weights.files of teacher ${card.name} to have paths relative to the card, found ${expected.path}.`,
        { members: ["weights.files"] },
      );
    }
    const path = join(folder, expected.path);
    await assertWeightsThere(folder, expected.path, "its card");
    const { size } = await stat(path);
    if (size !== expected.sizeBytes)
      throw wrongWeights(path, counted(expected.sizeBytes, "byte"), counted(size, "byte"));
    const found = await describeFile(folder, expected.path);
    if (found.sha256 !== expected.sha256)
      throw wrongWeights(path, `SHA-256 ${expected.sha256}`, `SHA-256 ${found.sha256}`);
  }
  if (card.format === "onnx") await verifyExternal(card, folder);
}

/** Weights that lie outside of an ONNX file are the teacher's as much as those within. */
async function verifyExternal({ name, weights }: ModelCard, folder: string): Promise<void> {
  const model = join(folder, weights.files[0]!.path);
  const listed = new Set(weights.files.map((file) => resolve(folder, file.path)));
  for (const location of (await readOnnxFile(model)).externalFiles) {
    const path = resolve(dirname(model), locationOf(model, location));
    if (listed.has(path)) continue;
    throw new SluiceError(
      "E_TEACHER_WEIGHTS",
      `Expected weights.files of teacher ${name} to list ${location}, which ${basename(model)} names, found it left out: other weights there would go unseen. Write the card anew with \`sluice teacher add --overwrite\`.`,
      { path, location },
    );
  }
}

async function kindOf(path: string): Promise<"file" | "folder" | null> {
  const found = await statIfThere(path);
  return found === null ? null : found.isDirectory() ? "folder" : "file";
}

function noCard(path: string, expected: string, found: string): SluiceError {
  return new SluiceError(
    "E_TEACHER_CARD",
    `Expected ${expected}, found ${found}: ${path}. Give a folder with ${MODEL_CARD_FILE}, a card, an .onnx file, or a model.json with a card.`,
    { path },
  );
}
