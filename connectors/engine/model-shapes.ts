import { SluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";

/** What a model file itself says about its ends, and a trial run on noise. Unknown dimensions are null. */
export interface ModelShapes {
  readonly inputName: string;
  readonly inputDims: readonly (number | null)[];
  readonly outputNames: readonly string[];
  /** The one that was asked for, else the first that has one row an image */
  readonly outputName: string;
  /** Outputs an image */
  readonly width: number;
  /** The one that was asked for as the embedding, and its values an image */
  readonly embedding?: { readonly name: string; readonly size: number };
  /** Told by the trial run: `probabilities` are not negative and sum to 1 */
  readonly kind: ModelCard["output"]["kind"];
}

/** What the user says where a model leaves it open. */
export interface ShapeChoices {
  readonly layout?: ModelCard["input"]["layout"] | undefined;
  readonly colour?: ModelCard["input"]["colour"] | undefined;
  /** px */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly outputName?: string | undefined;
  readonly embeddingName?: string | undefined;
}

/** Side of a trial image where the model leaves it open, px */
export const TRIAL_SIDE = 224;

/** Sizes to try a model with: its own, then the user's, then one image of 224 x 224 in colour. */
export function trialDims(found: readonly (number | null)[], choices: ShapeChoices): number[] {
  const { width = TRIAL_SIDE, height = TRIAL_SIDE } = choices;
  const channels = choices.colour === "grey" ? 1 : 3;
  const chosen =
    layoutOf(found, choices.layout) === "NHWC" ? [1, height, width, channels] : [1, channels, height, width];
  return found.map((dim, axis) => dim ?? chosen[axis] ?? 1);
}

/** Where the channels are, told by their number where nobody says it; null where both or neither can be. */
export function layoutOf(
  dims: readonly (number | null)[],
  chosen: ModelCard["input"]["layout"] | undefined,
): ModelCard["input"]["layout"] | null {
  if (chosen !== undefined) return chosen;
  const channels = (dim: number | null | undefined): boolean => dim === 1 || dim === 3;
  return channels(dims[1]) ? "NCHW" : channels(dims[3]) ? "NHWC" : null;
}

/** Values like a normalised image's, the same at every call. */
export function trialInput(dims: readonly number[]): Float32Array {
  return Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, at) => Math.sin(at * 12.9898));
}

/** What the first row of a trial's output is. Throws E_IMAGE_SCORES for what is neither: NaN, infinity. */
export function outputKindOf(row: Float32Array, path: string): ModelCard["output"]["kind"] {
  const at = row.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new SluiceError(
      "E_IMAGE_SCORES",
      `Expected finite scores from a trial run of ${path}, found ${row[at]} for class ${at}: the weights or their export are damaged.`,
      { path, class: at },
    );
  }
  const sum = row.reduce((total, value) => total + value, 0);
  return row.every((value) => value >= 0) && Math.abs(sum - 1) < 1e-3 ? "probabilities" : "logits";
}

/** Throws E_ENGINE_SHAPE: no such output. */
export function noSuchOutput(name: string, path: string, names: readonly string[]): SluiceError {
  return new SluiceError(
    "E_ENGINE_SHAPE",
    `Expected an output named ${name} in ${path}, found ${names.join(", ")}. Name one of these with --output.`,
    { expected: name, found: names },
  );
}
