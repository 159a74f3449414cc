import type { ModelCard } from "../../../schemas/model-card.js";
import type { OutputChoice } from "./choose-output.js";
import type { ToldKind } from "./output-kind.js";

/** What a model file itself says about its ends, and a trial run on noise. Unknown dimensions are null. */
export interface ModelShapes {
  readonly inputName: string;
  readonly inputDims: readonly (number | null)[];
  /** What its values are in the model */
  readonly inputType: InputType;
  readonly outputNames: readonly string[];
  /** The one with the classes, and why it is that one where there are several */
  readonly outputName: string;
  readonly outputWhy: string | null;
  /** Outputs an image */
  readonly width: number;
  /** The one that was asked for as the embedding, and its values an image */
  readonly embedding?: { readonly name: string; readonly size: number };
  readonly kind: ToldKind;
  /** What the first operators of the model do to pixels; null where they tell nothing */
  readonly inside: ToldNormalise | null;
}

export type InputType = "float32" | "float16" | "uint8";

/** How pixels become the input, and what tells so, in words. */
export interface ToldNormalise {
  readonly normalise: ModelCard["normalise"];
  readonly from: string;
}

/** What the user says where a model leaves it open. */
export interface ShapeChoices extends OutputChoice {
  readonly layout?: ModelCard["input"]["layout"] | undefined;
  readonly colour?: ModelCard["input"]["colour"] | undefined;
  /** px */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** The only batch size that the model runs with */
  readonly fixedBatch?: number | undefined;
  readonly embeddingName?: string | undefined;
}

/** Side of a trial image where the model leaves it open, px */
export const TRIAL_SIDE = 224;

/** Sizes to try a model with: its own, then the user's, then one image of 224 x 224 in colour. */
export function trialDims(found: readonly (number | null)[], choices: ShapeChoices): number[] {
  const { width = TRIAL_SIDE, height = TRIAL_SIDE, fixedBatch = 1 } = choices;
  const channels = choices.colour === "grey" ? 1 : 3;
  const chosen =
    layoutOf(found, choices.layout) === "NHWC"
      ? [fixedBatch, height, width, channels]
      : [fixedBatch, channels, height, width];
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

/** Values of a few trial runs, the same at every call: like a normalised image's, darker, and of much contrast. */
export function trialInputs(dims: readonly number[], type: InputType): Float32Array[] {
  const length = dims.reduce((a, b) => a * b, 1);
  return [1, 0.05, 6].map((contrast) =>
    Float32Array.from({ length }, (_, at) => {
      const value = contrast * Math.sin(at * 12.9898);
      return type === "uint8" ? Math.min(255, Math.max(0, Math.round(128 + 40 * value))) : value;
    }),
  );
}
