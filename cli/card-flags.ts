import { InvalidArgumentError, Option, type Command } from "commander";
import type { CardChoices } from "../pipelines/training/add-teacher.js";
import { SluiceError } from "../schemas/errors.js";
import type { ModelCard } from "../schemas/model-card.js";
import { normalisation, NORMALISATION_NAMES, type NormalisationName } from "../schemas/normalisations.js";
import { positiveFraction, positiveNumber } from "./number-argument.js";

/** What a user says of a model, flag by flag. */
export interface CardFlags {
  readonly name?: string;
  readonly labels?: string;
  readonly layout?: ModelCard["input"]["layout"];
  readonly size?: { readonly width: number; readonly height: number };
  readonly colour?: ModelCard["input"]["colour"];
  readonly normalise?: NormalisationName;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly resize?: ModelCard["resize"]["mode"];
  readonly kernel?: ModelCard["resize"]["kernel"];
  readonly shortSide?: number;
  readonly antialias: boolean;
  readonly oddRest?: ModelCard["resize"]["oddRest"];
  readonly orientation?: ModelCard["resize"]["orientation"];
  readonly alpha?: ModelCard["resize"]["alpha"];
  readonly colourProfile?: ModelCard["resize"]["colourProfile"];
  readonly shrinkOnLoad?: boolean;
  readonly fixedBatch?: number;
  readonly temperature?: number;
  readonly output?: string;
  readonly embedding?: string;
  readonly kind?: ModelCard["output"]["kind"];
}

/** Flags for every member of a model card. */
export function declareCardFlags(command: Command): Command {
  return command
    .option("--name <name>", "what the teacher is called (default: the file's or folder's name)")
    .option(
      "--labels <file>",
      "names of the classes in the order of the outputs: one a line, CSV with a column of numbers, or JSON",
    )
    .addOption(new Option("--layout <layout>", "where the channels are").choices(["NCHW", "NHWC"]))
    .option("--size <px>", "the input's size, such as 224 or 320x240 (width x height)", sizeOf)
    .addOption(new Option("--colour <order>", "the channels").choices(["rgb", "bgr", "grey"]))
    .addOption(
      new Option(
        "--normalise <how>",
        "the input's values; imagenet: mean and deviation of ImageNet; unit: 0 to 1; symmetric: -1 to 1; bytes: 0 to 255; caffe: BGR bytes less their mean",
      ).choices(NORMALISATION_NAMES),
    )
    .option("--mean <values>", "instead: means of values in [0, 1], one a channel, such as 0.5,0.5,0.5", numbersOf)
    .option("--std <values>", "with --mean: deviations", numbersOf)
    .addOption(
      new Option("--resize <how>", "how images become the input's size (default: crop)").choices([
        "crop",
        "stretch",
        "pad",
      ]),
    )
    .addOption(
      new Option("--kernel <name>", "resampling (default: linear)").choices([
        "nearest",
        "box",
        "linear",
        "hamming",
        "cubic",
        "lanczos3",
      ]),
    )
    .option("--short-side <px>", "with crop: the short side before the crop (default: 256 for 224)", positiveNumber)
    .addOption(
      new Option(
        "--odd-rest <offset>",
        "with a crop: where it lies if an odd number of pixels is left over (default: even, as torchvision's; transformers': lower)",
      ).choices(["even", "lower"]),
    )
    .option("--no-antialias", "resampling to a smaller size looks at few pixels only, as OpenCV's and TensorFlow's do")
    .addOption(
      new Option(
        "--orientation <how>",
        "whether pictures are turned as their EXIF says (default: apply); torchvision's and timm's loaders: ignore",
      ).choices(["apply", "ignore"]),
    )
    .addOption(
      new Option(
        "--alpha <how>",
        'transparent pixels (default: black); drop: the colours stored below, as Pillow\'s convert("RGB")',
      ).choices(["black", "drop"]),
    )
    .addOption(
      new Option(
        "--colour-profile <how>",
        "the profile that an RGB or grey picture carries (default: ignore, as Pillow); convert: to sRGB",
      ).choices(["ignore", "convert"]),
    )
    .option("--shrink-on-load", "large JPEG are decoded at a half, a quarter or an eighth: faster, other pixels")
    .option(
      "--fixed-batch <n>",
      "the only batch size that the model runs with, where its input does not say",
      positiveNumber,
    )
    .option("--temperature <t>", "what logits are divided by, where it is known (default: 1)", positiveFraction)
    .option("--output <name>", "the output with the classes, where there are several")
    .option("--embedding <name>", "an output that describes the image, to be archived beside the scores")
    .addOption(
      new Option("--kind <kind>", "what the output holds (default: told by a trial)").choices([
        "logits",
        "probabilities",
        "sigmoid",
        "sigmoid-logits",
      ]),
    );
}

/** What the flags say. Throws E_USAGE, E_TEACHER_LABELS. */
export async function choicesOf(flags: CardFlags, at: (path: string) => string): Promise<CardChoices> {
  const { mean, std, resize, kernel, shortSide, orientation, alpha, colourProfile } = flags;
  if ((mean === undefined) !== (std === undefined)) {
    throw new SluiceError("E_USAGE", "Expected --mean and --std together, found one of them.");
  }
  const colour = flags.colour ?? (flags.normalise === "caffe" ? "bgr" : undefined);
  const named = flags.normalise === undefined ? undefined : normalisation(flags.normalise, colour ?? "rgb");
  return {
    name: flags.name,
    labels: flags.labels === undefined ? undefined : await readLabels(at(flags.labels)),
    layout: flags.layout,
    colour,
    width: flags.size?.width,
    height: flags.size?.height,
    normalise: mean !== undefined && std !== undefined ? { mean: [...mean], std: [...std] } : named,
    resize: {
      ...(resize === undefined ? {} : { mode: resize }),
      ...(kernel === undefined ? {} : { kernel }),
      ...(shortSide === undefined ? {} : { shortSide }),
      ...(flags.antialias ? {} : { antialias: false }),
      ...(flags.oddRest === undefined ? {} : { oddRest: flags.oddRest }),
      ...(orientation === undefined ? {} : { orientation }),
      ...(alpha === undefined ? {} : { alpha }),
      ...(colourProfile === undefined ? {} : { colourProfile }),
      ...(flags.shrinkOnLoad === true ? { shrinkOnLoad: true } : {}),
    },
    fixedBatch: flags.fixedBatch,
    temperature: flags.temperature,
    outputName: flags.output,
    embeddingName: flags.embedding,
    outputKind: flags.kind,
  };
}

async function readLabels(path: string): Promise<readonly string[]> {
  const { readLabelFile } = await import("../pipelines/training/add-teacher.js");
  const read = await readLabelFile(path);
  if (read !== null) return read.labels;
  throw new SluiceError("E_TEACHER_LABELS", `Expected a file of labels at ${path}, found none.`, { path });
}

function sizeOf(text: string): { width: number; height: number } {
  const match = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Expected a size in px, such as 224 or 320x240.");
  const width = Number(match[1]);
  return { width, height: match[2] === undefined ? width : Number(match[2]) };
}

function numbersOf(text: string): number[] {
  const values = text.split(",").map(Number);
  if ((values.length === 1 || values.length === 3) && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError("Expected one number, or three with commas.");
}
