import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { inspectOnnx, TRIAL_SIDE, type OnnxShapes } from "./onnx.js";
import type { LoadedTeacher } from "./teacher-files.js";
import { describeWeights } from "./weights-digest.js";

/** ImageNet's channel means and deviations, of values in [0, 1], as torchvision has them */
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** torchvision's evaluation transform: short side 256 for a crop of 224 */
const SHORT_SIDE_RATIO = 256 / 224;

/**
 * Makes up a card for an .onnx file that has none: layout, size, batch and number of classes from its shapes,
 * logits or probabilities from a trial run, labels from `<name>.labels.txt` (one a line) or class-0 …, and preprocessing as for ImageNet.
 * Throws E_TEACHER_CARD where the shapes leave it open, E_TEACHER_LABELS, E_ENGINE_LOAD.
 */
export async function inferCard(modelPath: string): Promise<LoadedTeacher> {
  const folder = dirname(modelPath);
  const name = basename(modelPath, ".onnx");
  const shapes = await inspectOnnx(modelPath);
  const { input, inputNote } = inputFrom(modelPath, shapes);
  const { labels, labelNote } = await labelsFor(join(folder, `${name}.labels.txt`), shapes.width);
  const grey = input.colour === "grey";
  const shortSide = Math.round(Math.min(input.width, input.height) * SHORT_SIDE_RATIO);
  const external = await existing(folder, [`${basename(modelPath)}.data`, `${basename(modelPath)}_data`]);
  const card: ModelCard = {
    schemaVersion: 1,
    name,
    format: "onnx",
    weights: await describeWeights(folder, [basename(modelPath), ...external]),
    input,
    resize: { kernel: "linear", mode: "crop", shortSide, shrinkOnLoad: true },
    normalise: grey ? { mean: [0], std: [1] } : IMAGENET,
    output: { kind: shapes.kind, ...(shapes.outputNames.length > 1 ? { name: shapes.outputName } : {}) },
    labels,
    temperature: 1,
  };
  return {
    card,
    folder,
    assumptions: [
      inputNote,
      grey
        ? "Pixels are scaled to [0, 1], without mean and deviation."
        : "Pixels are RGB, normalised with ImageNet's means and deviations.",
      `Images are resized to a short side of ${shortSide} px and cropped in the middle.`,
      `Output ${shapes.outputName} holds ${shapes.width} ${shapes.kind} (a trial run ${shapes.kind === "probabilities" ? "summed to 1" : "did not sum to 1"}).`,
      labelNote,
    ],
  };
}

function inputFrom(path: string, shapes: OnnxShapes): { input: ModelCard["input"]; inputNote: string } {
  const [batch, a, b, c] = shapes.inputDims;
  const channels = (dim: number | null | undefined) => dim === 1 || dim === 3;
  const layout = channels(a) ? "NCHW" : channels(c) ? "NHWC" : null;
  const [tall, wide, depth] = layout === "NCHW" ? [b, c, a] : [a, b, c];
  const [height, width] = [tall ?? TRIAL_SIDE, wide ?? TRIAL_SIDE];
  if (shapes.inputDims.length !== 4 || layout === null) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected an image input like [n x 3 x 224 x 224] in ${path}, found [${shapes.inputDims.map((dim) => dim ?? "?").join(" x ")}]: ` +
        "the card cannot be inferred. Write a model card beside the model.",
      { path, found: shapes.inputDims },
    );
  }
  return {
    input: {
      width,
      height,
      layout,
      colour: depth === 1 ? "grey" : "rgb",
      ...(batch == null ? {} : { fixedBatch: batch }),
    },
    inputNote:
      `Input ${shapes.inputName} is ${layout}, ${width} x ${height} px, ${depth === 1 ? "grey" : "RGB"}` +
      (batch == null ? "." : `, in batches of ${batch} only.`),
  };
}

async function labelsFor(path: string, width: number): Promise<{ labels: string[]; labelNote: string }> {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) {
    const labels = Array.from({ length: width }, (_, at) => `class-${at}`);
    return {
      labels,
      labelNote: `Classes are called class-0 to class-${width - 1}: put their names, one a line, into ${basename(path)}.`,
    };
  }
  const labels = text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
  if (labels.length === width) return { labels, labelNote: `Classes are named by ${basename(path)}.` };
  throw new SluiceError(
    "E_TEACHER_LABELS",
    `Expected ${width} labels in ${path}, one for each of the model's outputs, found ${labels.length}.`,
    { path, expected: width, found: labels.length },
  );
}

async function existing(folder: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) if ((await stat(join(folder, name)).catch(() => null)) !== null) found.push(name);
  return found;
}
