import { counted } from "../../../schemas/counted.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { outputWidth } from "../../../schemas/output-width.js";
import { channelsOf } from "../../../schemas/pixels.js";

/** What a worker needs to load a model. Crosses threads and processes: plain values only. */
export interface RunnerSetup {
  readonly kind: "onnx" | "tfjs";
  readonly backend: string;
  readonly card: ModelCard;
  readonly folder: string;
  readonly threads: number;
  /** The GPU, by CUDA's number; absent: the library's own choice */
  readonly device?: number;
}

/** Raw output of one run: float32, `dims[0]` rows, row-major. Valid until the next run. */
export interface RunnerOutput {
  readonly values: Float32Array;
  readonly dims: readonly number[];
  /** Of the card's embedding, if it names one */
  readonly embedding?: Pick<RunnerOutput, "values" | "dims">;
}

/** A loaded model on one backend. Lives inside a worker and runs one batch at a time. */
export interface ModelRunner {
  /** The library, its version, and the backend and device that really run */
  readonly name: string;
  readonly version: string;
  readonly backend: string;
  readonly device: string;
  /** The only batch size that the model takes, or null */
  readonly fixedBatch: number | null;
  /** `input` is [count x input], float32, normalised, in the card's layout. Read before the promise is settled only. */
  run(input: Float32Array, count: number): Promise<RunnerOutput>;
  close(): Promise<void>;
}

/** [n x height x width x channels] or [n x channels x height x width], as the card says */
export function inputDims(card: Pick<ModelCard, "input">, count: number): [number, number, number, number] {
  const { width, height, layout } = card.input;
  const channels = channelsOf(card.input);
  return layout === "NCHW" ? [count, channels, height, width] : [count, height, width, channels];
}

/**
 * Holds a model's declared input against the card. `found` may have unknown dimensions (null). Returns the fixed batch
 * size or null. Throws E_ENGINE_SHAPE.
 */
export function checkInput(card: ModelCard, found: readonly (number | null)[]): number | null {
  const expected = inputDims(card, 1);
  const fits = found.length === 4 && [1, 2, 3].every((axis) => found[axis] === null || found[axis] === expected[axis]);
  const batch = found[0] ?? null;
  const { fixedBatch } = card.input;
  if (fits && (batch === null || fixedBatch === undefined || batch === fixedBatch)) return batch ?? fixedBatch ?? null;
  const other = card.input.layout === "NCHW" ? "NHWC" : "NCHW";
  const swapped = inputDims({ ...card, input: { ...card.input, layout: other } }, 1);
  const looksSwapped = found.length === 4 && !fits && [1, 2, 3].every((axis) => found[axis] === swapped[axis]);
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected the input of teacher ${card.name} to be ${showDims([fixedBatch ?? null, ...expected.slice(1)])} ` +
      `(${card.input.layout}, as its card says), found ${showDims(found)} in the model. ` +
      (looksSwapped
        ? `Set input.layout to ${other} in the card.`
        : "Set input.width, height, layout, colour and fixedBatch in the card to match."),
    { expected, found },
  );
}

/** `[? x 3 x 224 x 224]` */
export function showDims(dims: readonly (number | null)[]): string {
  return `[${dims.map((dim) => dim ?? "?").join(" x ")}]`;
}

/** Holds one run's output against the card. Throws E_TEACHER_LABELS. */
export function checkOutput(card: ModelCard, { values, dims, embedding }: RunnerOutput, count: number): void {
  const labels = card.labels.length;
  if (dims[0] === count && values.length === count * labels) {
    checkEmbedding(card, embedding, count);
    return;
  }
  if (dims[0] !== count) {
    throw new SluiceError(
      "E_ENGINE_SHAPE",
      `Expected ${counted(count, "row")} from teacher ${card.name} for a batch of ${count}, found output [${dims.join(" x ")}]. ` +
        "Export the model with a dynamic batch axis, or set input.fixedBatch in its card.",
      { expected: count, found: dims },
    );
  }
  const width = values.length / count;
  throw new SluiceError(
    "E_TEACHER_LABELS",
    `Expected ${counted(labels, "output")} from teacher ${card.name}, one for each label of its card, found ${width} ` +
      `(output [${dims.join(" x ")}]). Mend the card's labels, or name the right output in output.name.`,
    { expected: labels, found: width },
  );
}

function checkEmbedding({ name, output }: ModelCard, found: RunnerOutput["embedding"], count: number): void {
  const wanted = output.embedding;
  if (wanted === undefined || found?.values.length === count * wanted.size) return;
  throw new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected ${counted(wanted.size, "value")} an image from output ${wanted.name} of teacher ${name}, found [${found?.dims.join(" x ") ?? ""}] for ${count}. ` +
      "Set output.embedding in its card to match, or leave it out.",
    { expected: wanted.size, found: found?.dims },
  );
}

/** The least probability told from zero: float32's least normal value is 1.2e-38. ln of it is -87.5. */
const LEAST_PROBABILITY = 1e-38;

/** Writes the first rows of an output, as many as `scores` holds: logits, and behind each row's the embedding. NaN stays NaN. */
export function writeScores(card: ModelCard, { values, embedding }: RunnerOutput, scores: Float32Array): void {
  const classes = card.labels.length;
  const width = outputWidth(card);
  const size = width - classes;
  for (let row = 0; row * width < scores.length; row++) {
    const own = values.subarray(row * classes, (row + 1) * classes);
    scores.set(own, row * width);
    const logits = scores.subarray(row * width, row * width + classes);
    if (card.output.kind === "probabilities") toLogits(logits);
    if (card.output.kind === "sigmoid") toOddsLogits(logits);
    if (embedding !== undefined && size > 0)
      scores.set(embedding.values.subarray(row * size, (row + 1) * size), row * width + classes);
  }
}

function toLogits(row: Float32Array): void {
  for (let at = 0; at < row.length; at++) {
    const probability = row[at]!;
    row[at] = Math.log(probability < LEAST_PROBABILITY ? LEAST_PROBABILITY : probability);
  }
}

/** The greatest float32 below 1, where a sigmoid saturates: its logit is 16.6 */
const MOST_PROBABILITY = 1 - 2 ** -24;

/** ln(p / (1 - p)), what the sigmoid was made of */
function toOddsLogits(row: Float32Array): void {
  for (let at = 0; at < row.length; at++) {
    const p = Math.min(row[at]! < LEAST_PROBABILITY ? LEAST_PROBABILITY : row[at]!, MOST_PROBABILITY);
    row[at] = Math.log(p) - Math.log1p(-p);
  }
}

/** E_ENGINE_SHAPE: the model has no output of the embedding's name. */
export function noSuchEmbedding(card: Pick<ModelCard, "name">, name: string, names: readonly string[]): SluiceError {
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected an output named ${name} in teacher ${card.name} for output.embedding, found ${names.join(", ")}.`,
    { expected: name, found: names },
  );
}

export function loadFailure(card: Pick<ModelCard, "format">, path: string, cause: unknown): SluiceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SluiceError(
    "E_ENGINE_LOAD",
    `Expected a model of format ${card.format} at ${path}, found one that the engine cannot load: ${reason}`,
    { cause, path },
  );
}
