import type { ImageNote } from "../../schemas/image-notes.js";
import type { ModelCard } from "../../schemas/model-card.js";
import {
  listedNumbers,
  normalisation,
  normalisationName,
  NORMALISATION_NAMES,
  sameNormalise,
} from "../../schemas/normalisations.js";

/** Members of a card that no file told and nobody said. */
export interface OpenPixels {
  readonly normalise: boolean;
  readonly colour: boolean;
  readonly size: boolean;
  readonly resize: boolean;
}

/** Members of a card on how pictures are opened that no file told and nobody said. */
export interface OpenOpening {
  readonly orientation: boolean;
  readonly alpha: boolean;
}

/** A way to feed a model: what of it is said, by the flags that say it. */
export interface Reading {
  /** Such as "unit, BGR" */
  readonly name: string;
  /** For `sluice teacher add`; none for what is assumed anyway */
  readonly flags: readonly string[];
  readonly choices: ReadingChoices;
}

export interface ReadingChoices {
  readonly normalise?: ModelCard["normalise"];
  readonly colour?: ModelCard["input"]["colour"];
  readonly width?: number;
  readonly height?: number;
  readonly resize?: Partial<ModelCard["resize"]>;
}

type Seen = Pick<ModelCard, "input" | "normalise" | "resize">;

/** PyTorch's example for MNIST, and what was trained after it */
const MNIST = { mean: [0.1307], std: [0.3081] };
/** Sides at which models of any size are trained, px */
const SIDES = [32, 64, 96, 128, 224, 299, 384];

/** The ways to make input values of pixels that are open in `card`, the card's own first. At least one. */
export function pixelReadings(card: Seen, open: OpenPixels): Reading[] {
  const { colour } = card.input;
  const colours = colour === "grey" || !open.colour ? [colour] : (["rgb", "bgr"] as const);
  const readings = colours.flatMap((order) =>
    normalisationsOf(card, open, order).map((normalise): Reading => {
      const name = normalisationName(normalise, order);
      const means = [
        "--mean",
        listedNumbers(normalise.mean).replace(/[[\] ]/g, ""),
        "--std",
        listedNumbers(normalise.std).replace(/[[\] ]/g, ""),
      ];
      const isOpen = open.normalise;
      const saysOrder = colours.length > 1 && name !== "caffe" && (order === "bgr" || !isOpen);
      const values = name ?? `mean ${listedNumbers(normalise.mean)}, deviation ${listedNumbers(normalise.std)}`;
      return {
        name: order === "bgr" ? `${values}, BGR` : values,
        flags: [
          ...(isOpen ? (name === null ? means : ["--normalise", name]) : []),
          ...(saysOrder ? ["--colour", order] : []),
        ],
        choices: { normalise, colour: order },
      };
    }),
  );
  const isOwn = ({ choices }: Reading): boolean =>
    choices.colour === colour && sameNormalise(choices.normalise!, card.normalise);
  return [...readings.filter(isOwn), ...readings.filter((reading) => !isOwn(reading))];
}

function normalisationsOf(
  { input, normalise }: Seen,
  open: OpenPixels,
  order: ModelCard["input"]["colour"],
): ModelCard["normalise"][] {
  if (!open.normalise) {
    const name = normalisationName(normalise, input.colour);
    return [name === null ? normalise : normalisation(name, order)];
  }
  const named = NORMALISATION_NAMES.filter((name) => (name === "caffe" ? order === "bgr" : true))
    .filter((name) => order !== "grey" || name !== "imagenet")
    .map((name) => normalisation(name, order));
  return order === "grey" ? [...named, MNIST] : named;
}

/** The ways to make an image as large as the input, the card's own first (it says nothing). At least one. */
export function geometryReadings({ input, resize }: Seen, open: OpenPixels): Reading[] {
  const side = Math.min(input.width, input.height);
  const shown = `${input.width} x ${input.height} px`;
  const own: Reading = { name: `${shown}, ${resizeName(resize)}`, flags: [], choices: {} };
  const sizes = open.size ? SIDES.filter((one) => one !== input.width || one !== input.height) : [];
  const ways: readonly Partial<ModelCard["resize"]>[] = open.resize
    ? [{ mode: "crop", shortSide: side }, { mode: "stretch" }, { mode: "pad" }]
    : [];
  return [
    own,
    ...sizes.map((one): Reading => ({
      name: `${one} x ${one} px`,
      flags: ["--size", String(one)],
      choices: { width: one, height: one },
    })),
    ...ways.map((one): Reading => ({
      name: `${shown}, ${resizeName(one)}`,
      flags: ["--resize", one.mode!, ...(one.shortSide === undefined ? [] : ["--short-side", String(one.shortSide)])],
      choices: { resize: one },
    })),
  ];
}

/** How pictures may be opened otherwise than by the card's defaults, where what was done to the pictures (`notes`) says that it matters. */
export function openingReadings(open: OpenOpening, notes: ReadonlySet<ImageNote>): Reading[] {
  const ignored: Reading = {
    name: "not turned by EXIF",
    flags: ["--orientation", "ignore"],
    choices: { resize: { orientation: "ignore" } },
  };
  const dropped: Reading = {
    name: "transparency dropped",
    flags: ["--alpha", "drop"],
    choices: { resize: { alpha: "drop" } },
  };
  const single = [
    ...(open.orientation && notes.has("turned") ? [ignored] : []),
    ...(open.alpha && notes.has("alpha") ? [dropped] : []),
  ];
  return single.length < 2 ? single : [...single, { ...both(ignored, dropped), name: "neither turned nor on black" }];
}

/** One reading with what another says as well; it is called after the other. */
export function both(one: Reading, other: Reading): Reading {
  return {
    name: other.name,
    flags: [...one.flags, ...other.flags],
    choices: { ...one.choices, ...other.choices, resize: { ...one.choices.resize, ...other.choices.resize } },
  };
}

function resizeName({ mode, shortSide }: Partial<ModelCard["resize"]>): string {
  return mode === "crop" && shortSide !== undefined ? `crop from a short side of ${shortSide} px` : (mode ?? "crop");
}

/** Deviations beyond which a difference is more than chance */
const CLEAR = 2;

/** Whether one reading is right on clearly more images than another: McNemar's test, of images that only one of them has right. */
export function isClearlyBetter(one: readonly boolean[], other: readonly boolean[]): boolean {
  let gained = 0;
  let lost = 0;
  one.forEach((right, at) => {
    if (right && !other[at]!) gained++;
    if (!right && other[at]!) lost++;
  });
  return gained - lost > CLEAR * Math.sqrt(gained + lost);
}

/** Whether so many right answers of `count` are clearly more than guessing gives, which is right with a probability of `chance`. */
export function isAboveChance(right: number, count: number, chance: number): boolean {
  return right - count * chance > CLEAR * Math.sqrt(count * chance * (1 - chance));
}
