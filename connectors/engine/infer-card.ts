import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { identifyModel, type FoundModel } from "./identify-model.js";
import { layoutOf, TRIAL_SIDE, type ModelShapes, type ShapeChoices } from "./model-shapes.js";
import type { LoadedTeacher } from "./teacher-files.js";
import { describeWeights } from "./weights-digest.js";

/** ImageNet's channel means and deviations, of values in [0, 1], as torchvision has them */
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** torchvision's evaluation transform: short side 256 for a crop of 224 */
const SHORT_SIDE_RATIO = 256 / 224;

/** What the user says of a model; what is not said is inferred. */
export interface CardChoices extends ShapeChoices {
  readonly name?: string | undefined;
  /** One a class, in the order of the outputs */
  readonly labels?: readonly string[] | undefined;
  readonly normalise?: ModelCard["normalise"] | undefined;
  readonly resize?: Partial<ModelCard["resize"]> | undefined;
  readonly outputKind?: ModelCard["output"]["kind"] | undefined;
}

/**
 * Makes up a card for a model that has none: layout, size, batch and number of classes from its shapes, logits or
 * probabilities from a trial run, labels from `<name>.labels.txt` or `labels.txt` (one a line), else class-0 …, and preprocessing as for
 * ImageNet for ONNX; `choices` go before all that. Throws E_TEACHER_CARD where something is left open, E_TEACHER_LABELS,
 * E_TEACHER_WEIGHTS, E_ENGINE_LOAD, E_ENGINE_SHAPE, E_ENGINE_UNAVAILABLE, E_IMAGE_SCORES.
 */
export async function inferCard(modelPath: string, choices: CardChoices = {}): Promise<LoadedTeacher> {
  const model = await identifyModel(modelPath);
  const path = join(model.folder, model.files[0]!);
  const weights = await describeWeights(model.folder, model.files);
  const shapes = await inspect(model, path, choices);
  const { input, inputNote } = inputFrom(path, shapes, choices);
  const { labels, labelNote } = await labelsFor(model, shapes.width, choices);
  const { normalise, normaliseNote } = normaliseFor(model, path, input, choices);
  const shortSide = Math.round(Math.min(input.width, input.height) * SHORT_SIDE_RATIO);
  const mode = choices.resize?.mode ?? "crop";
  const { outputKind: kind = shapes.kind } = choices;
  const told =
    choices.outputKind === undefined
      ? `a trial run ${kind === "probabilities" ? "summed to 1" : "did not sum to 1"}`
      : "as said";
  const isNamed = shapes.outputNames.length > 1;
  const card: ModelCard = {
    schemaVersion: 1,
    name: choices.name ?? model.name,
    format: model.format,
    weights,
    input,
    resize: {
      kernel: "linear",
      mode,
      ...(mode === "crop" && input.width === input.height ? { shortSide } : {}),
      shrinkOnLoad: false,
      ...choices.resize,
    },
    normalise,
    output: {
      kind,
      ...(isNamed ? { name: shapes.outputName } : {}),
      ...(shapes.embedding === undefined ? {} : { embedding: shapes.embedding }),
    },
    labels,
    temperature: 1,
  };
  return {
    card,
    folder: model.folder,
    cardPath: null,
    assumptions: [
      inputNote,
      normaliseNote,
      resizeNote(card),
      `Output ${shapes.outputName} holds ${shapes.width} ${kind} (${told}).`,
      ...(shapes.embedding === undefined
        ? []
        : [`Output ${shapes.embedding.name} is the embedding, ${shapes.embedding.size} values.`]),
      labelNote,
    ],
  };
}

/** Only the library of the model's own kind is loaded. */
async function inspect({ format }: FoundModel, path: string, choices: ShapeChoices): Promise<ModelShapes> {
  if (format === "onnx") return (await import("./onnx.js")).inspectOnnx(path, choices);
  return (await import("./inspect-tfjs.js")).inspectTfjs(format, path, choices);
}

function inputFrom(
  path: string,
  shapes: ModelShapes,
  choices: ShapeChoices,
): { input: ModelCard["input"]; inputNote: string } {
  const { inputDims: dims } = shapes;
  const layout = layoutOf(dims, choices.layout);
  if (dims.length !== 4 || layout === null) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected an image input like [n x 3 x 224 x 224] in ${path}, found [${dims.map((dim) => dim ?? "?").join(" x ")}]: ` +
        "the card cannot be inferred. Write a model card beside the model, or say what it takes with " +
        "`sluice teacher add --layout --size --colour`.",
      { path, found: dims },
    );
  }
  const [batch, a, b, c] = dims;
  const [tall, wide, depth] = layout === "NCHW" ? [b, c, a] : [a, b, c];
  // What the user says is held against the model when it is opened: a contradiction is an error there, with both in it.
  const height = choices.height ?? tall ?? TRIAL_SIDE;
  const width = choices.width ?? wide ?? TRIAL_SIDE;
  const colour = choices.colour ?? (depth === 1 ? "grey" : "rgb");
  const isOpen = (tall == null && choices.height === undefined) || (wide == null && choices.width === undefined);
  return {
    input: { width, height, layout, colour, ...(batch == null ? {} : { fixedBatch: batch }) },
    inputNote:
      `Input ${shapes.inputName} is ${layout}, ${width} x ${height} px, ${colour === "grey" ? "grey" : colour.toUpperCase()}` +
      (isOpen ? " (the model takes any size)" : "") +
      (batch == null ? "." : `, in batches of ${batch} only (short ones are padded).`),
  };
}

function normaliseFor(
  { format }: FoundModel,
  path: string,
  { colour }: ModelCard["input"],
  choices: CardChoices,
): { normalise: ModelCard["normalise"]; normaliseNote: string } {
  const { normalise } = choices;
  if (normalise !== undefined) {
    const { mean, std } = normalise;
    return { normalise, normaliseNote: `Pixels are (u8 / 255 - [${mean.join(", ")}]) / [${std.join(", ")}], as said.` };
  }
  // Of TensorFlow's models, some take 0 to 1, some -1 to 1, some 0 to 255, and no shape tells which.
  if (format !== "onnx") {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected to be told how pixels become the input of ${path}: TensorFlow models take 0 to 1, -1 to 1 or 0 to 255, and the file does not say which. ` +
        "Give --normalise unit, symmetric or bytes (see docs/teachers.md), and look at the outcome with --try.",
      { path },
    );
  }
  return colour === "grey"
    ? { normalise: { mean: [0], std: [1] }, normaliseNote: "Pixels are scaled to [0, 1], without mean and deviation." }
    : {
        normalise: colour === "bgr" ? { mean: IMAGENET.mean.toReversed(), std: IMAGENET.std.toReversed() } : IMAGENET,
        normaliseNote: `Pixels are ${colour.toUpperCase()}, normalised with ImageNet's means and deviations.`,
      };
}

function resizeNote({ resize, input }: ModelCard): string {
  if (resize.mode === "crop") {
    return `Images are resized to a short side of ${resize.shortSide ?? Math.min(input.width, input.height)} px and cropped in the middle.`;
  }
  return resize.mode === "stretch"
    ? "Images are stretched to the input's size."
    : "Images are fitted into the input, the rest black.";
}

async function labelsFor(
  { folder, name }: FoundModel,
  width: number,
  { labels: given }: CardChoices,
): Promise<{ labels: string[]; labelNote: string }> {
  if (given !== undefined) {
    if (given.length === width) return { labels: [...given], labelNote: "Classes are named as said." };
    throw wrongLabels("the labels that were given", width, given.length);
  }
  for (const path of [join(folder, `${name}.labels.txt`), join(folder, "labels.txt")]) {
    const text = await readFile(path, "utf8").catch(() => null);
    if (text === null) continue;
    const labels = linesOf(text);
    if (labels.length === width) return { labels, labelNote: `Classes are named by ${basename(path)}.` };
    throw wrongLabels(path, width, labels.length);
  }
  return {
    labels: Array.from({ length: width }, (_, at) => `class-${at}`),
    labelNote: `Classes are called class-0 to class-${width - 1}: put their names, one a line, into ${name}.labels.txt.`,
  };
}

/** The lines of a file of labels, without the end of the file. */
export function linesOf(text: string): string[] {
  return text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
}

function wrongLabels(where: string, expected: number, found: number): SluiceError {
  return new SluiceError(
    "E_TEACHER_LABELS",
    `Expected ${expected} labels in ${where}, one for each of the model's outputs, found ${found}.`,
    { path: where, expected, found },
  );
}
