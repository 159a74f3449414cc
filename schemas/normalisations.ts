import type { ModelCard } from "./model-card.js";

type Normalise = ModelCard["normalise"];
type Colour = ModelCard["input"]["colour"];

/** ImageNet's channel means and deviations, of values in [0, 1], as torchvision has them */
export const IMAGENET: Normalise = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** Ways in which models want their pixels, by the names that people know; mean and deviation of values in [0, 1]. */
const NORMALISATIONS = {
  imagenet: IMAGENET,
  unit: { mean: [0], std: [1] },
  symmetric: { mean: [0.5], std: [0.5] },
  bytes: { mean: [0], std: [1 / 255] },
  /** In the order of its channels, blue first */
  caffe: { mean: [103.939 / 255, 116.779 / 255, 123.68 / 255], std: [1 / 255] },
} as const satisfies Readonly<Record<string, Normalise>>;

export type NormalisationName = keyof typeof NORMALISATIONS;
export const NORMALISATION_NAMES = Object.keys(NORMALISATIONS) as readonly NormalisationName[];

/** What a name means, in the order of a model's channels. */
export function normalisation(name: NormalisationName, colour: Colour): Normalise {
  const { mean, std } = NORMALISATIONS[name];
  const turned = name === "imagenet" && colour === "bgr";
  return turned ? { mean: [...mean].reverse(), std: [...std].reverse() } : { mean: [...mean], std: [...std] };
}

/** The name of what means the same; null for what has none. */
export function normalisationName(normalise: Normalise, colour: Colour): NormalisationName | null {
  return NORMALISATION_NAMES.find((name) => sameNormalise(normalisation(name, colour), normalise)) ?? null;
}

export function sameNormalise(one: Normalise, other: Normalise): boolean {
  return listedNumbers(one.mean) === listedNumbers(other.mean) && listedNumbers(one.std) === listedNumbers(other.std);
}

/** "0.5", "[0.485, 0.456, 0.406]": as many digits as float32 has */
export function listedNumbers(values: readonly number[]): string {
  const words = values.map((value) => String(Number(value.toPrecision(6))));
  return words.length === 1 ? words[0]! : `[${words.join(", ")}]`;
}
