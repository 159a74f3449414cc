import type { ModelCard } from "../../../../schemas/model-card.js";
import { channelsIn, isNumber, isObject, labelsIn, type JsonObject, type Size, type ToldCard } from "./told-card.js";

/** Pillow's numbers of resampling filters */
const KERNELS: Readonly<Record<number, ModelCard["resize"]["kernel"]>> = {
  0: "nearest",
  1: "lanczos3",
  2: "linear",
  3: "cubic",
  4: "box",
  5: "hamming",
};
/** Where a file does not say: processors that resample by bicubic by themselves */
const BICUBIC = /^(Beit|CLIP|Bit|Siglip|Levit|PoolFormer|Deit|Blip|EfficientFormer|Chinese)/i;
/** Processors to which a size of one number is a square, not the short side */
const SQUARE = /^(ViT|Deit|Beit|Swin|DPT|Siglip|EfficientNet|Dinat|Pvt|Efficientformer)/i;
/** Processors that only rescale, whatever means their files have */
const PLAIN = /^(MobileViT|GLPN)/i;
/** Processors that crop before they resize, or give numbers of colours in place of pixels */
const UNLIKE = /^(Perceiver|ImageGPT|Flava)/i;
const DEFAULT_SIDE = 224;
/** ConvNextImageProcessor's own; larger inputs than this are not cropped */
const CONVNEXT = { cropFraction: 224 / 256, largestCropped: 384 };

/** A preprocessor_config.json of transformers'. Null for anything else. */
export function readPreprocessing(json: JsonObject, from: string): ToldCard | null {
  const config = withoutNulls(isObject(json["image_processor"]) ? json["image_processor"] : json);
  const named = config["image_processor_type"] ?? config["feature_extractor_type"];
  const isProcessor =
    typeof named === "string" || ("image_mean" in config && "image_std" in config) || "do_normalize" in config;
  if (!isProcessor) return null;
  const type = typeof named === "string" ? named.replace(/(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/, "") : "";
  // A wrapper around timm's own `pretrained_cfg`, which timm.ts reads.
  if (type.startsWith("TimmWrapper")) return null;
  const made = geometryOf(config, type);
  return {
    from,
    ...("size" in made ? { size: made.size } : {}),
    ...(config["do_flip_channel_order"] === true ? { colour: "bgr" as const } : {}),
    ...normaliseOf(config, type),
    resize: () => ("refused" in made ? { refused: made.refused } : withOddRest(made.resize)),
    // Its `load_image` turns pictures by EXIF, then converts to RGB with Pillow.
    opening: { alpha: "drop" },
  };
}

/** A config.json of transformers'. Null for anything else. */
export function readModelConfig(json: JsonObject, from: string): ToldCard | null {
  if (!("model_type" in json) && !("id2label" in json) && !("transformers_version" in json)) return null;
  const labels = labelsIn(json["id2label"]) ?? labelsIn(json["label2id"]);
  return {
    from,
    ...(json["num_channels"] === 1 ? { colour: "grey" as const } : {}),
    ...(json["problem_type"] === "multi_label_classification" ? { kind: "sigmoid-logits" as const } : {}),
    ...(labels === null ? {} : { labels }),
  };
}

/** Newer processors write every member that they know of, null where it is not said. */
function withoutNulls(config: JsonObject): JsonObject {
  const said = Object.entries(config).filter(([, value]) => value !== null);
  return Object.fromEntries(said.map(([key, value]) => [key, isObject(value) ? withoutNulls(value) : value]));
}

/** (u8 * factor - mean) / std, as (u8 / 255 - mean) / std */
function normaliseOf(config: JsonObject, type: string): Pick<ToldCard, "normalise"> {
  const factor =
    config["do_rescale"] === false ? 1 : isNumber(config["rescale_factor"]) ? config["rescale_factor"] : 1 / 255;
  const isNormalised = config["do_normalize"] !== false && !PLAIN.test(type);
  const said = { mean: channelsIn(config["image_mean"]), std: channelsIn(config["image_std"]) };
  // Each processor has its own defaults: where the file leaves them out, nothing is known.
  if (isNormalised && (said.mean === null || said.std === null)) return {};
  const scale = factor * 255;
  // EfficientNet's may shift what it has rescaled by -1, and divides by the deviation once more.
  const offset = config["rescale_offset"] === true ? 1 : 0;
  const again = type === "EfficientNet" && config["include_top"] !== false ? (said.std ?? [1]) : [1];
  const mean = isNormalised ? said.mean! : [0];
  const std = isNormalised ? said.std! : [1];
  const width = Math.max(mean.length, std.length);
  const of = (values: readonly number[], at: number): number => values[at] ?? values[0]!;
  const each = Array.from({ length: width }, (_, at) => at);
  return {
    normalise: {
      mean: each.map((at) => (of(mean, at) + offset) / scale),
      std: each.map((at) => (of(std, at) * of(again, at)) / scale),
    },
  };
}

type Geometry = { readonly size: Size; readonly resize: Partial<ModelCard["resize"]> } | { readonly refused: string };

function geometryOf(config: JsonObject, type: string): Geometry {
  if (UNLIKE.test(type)) return { refused: `the processor ${type}, which crops or counts colours otherwise` };
  const resample = isNumber(config["resample"]) ? config["resample"] : BICUBIC.test(type) ? 3 : 2;
  const kernel = KERNELS[resample];
  if (kernel === undefined) return { refused: `resample ${resample}` };
  if (config["do_pad"] === true) return { refused: "do_pad" };
  const cropping = config["do_center_crop"] ?? ("crop_size" in config && !SQUARE.test(type));
  const crop = cropping === true ? squareOr(config["crop_size"]) : null;
  if (cropping === true && crop === null && "crop_size" in config)
    return { refused: `crop_size ${JSON.stringify(config["crop_size"])}` };
  const size = sizeOf(config["size"], SQUARE.test(type) || (cropping !== true && !/^ConvNext/i.test(type)));
  if (config["do_resize"] === false) return { refused: "do_resize: false (images as they are)" };
  if (typeof size === "string") return { refused: size };
  if ("shortest" in size) {
    if (/^ConvNext/i.test(type)) return convNext(size.shortest, config["crop_pct"], kernel);
    if (crop === null) return { refused: "a short side without a crop: inputs of any size" };
    const shortSide = /^Levit/i.test(type)
      ? Math.floor((256 / 224) * size.shortest)
      : Math.floor(size.shortest / fractionIn(config["crop_pct"]));
    return { size: crop, resize: { mode: "crop", kernel, shortSide } };
  }
  if (crop === null || (crop.width === size.width && crop.height === size.height))
    return { size, resize: { mode: "stretch", kernel } };
  const fraction = fractionIn(config["crop_pct"]);
  if (fraction !== 1)
    return { size: crop, resize: { mode: "crop", kernel, shortSide: Math.floor(size.height / fraction) } };
  const shortSide = Math.min(size.width, size.height);
  if (size.width !== size.height || crop.width !== crop.height)
    return { refused: `size ${JSON.stringify(size)} before a crop of another shape` };
  return { size: crop, resize: { mode: "stretch", kernel, shortSide } };
}

/** Its center_crop rounds an odd rest down, where torchvision's rounds it to even. */
function withOddRest(resize: Partial<ModelCard["resize"]>): Partial<ModelCard["resize"]> {
  return resize.shortSide === undefined ? resize : { ...resize, oddRest: "lower" };
}

function convNext(side: number, said: unknown, kernel: ModelCard["resize"]["kernel"]): Geometry {
  const size = { width: side, height: side };
  if (side >= CONVNEXT.largestCropped) return { size, resize: { mode: "stretch", kernel } };
  const fraction = isNumber(said) ? said : CONVNEXT.cropFraction;
  return { size, resize: { mode: "crop", kernel, shortSide: Math.floor(side / fraction) } };
}

function sizeOf(value: unknown, isSquare: boolean): Size | { readonly shortest: number } | string {
  if (value === undefined) return isSquare ? { width: DEFAULT_SIDE, height: DEFAULT_SIDE } : { shortest: DEFAULT_SIDE };
  if (isNumber(value)) return isSquare ? { width: value, height: value } : { shortest: value };
  if (isObject(value) && isNumber(value["shortest_edge"]) && !("longest_edge" in value))
    return { shortest: value["shortest_edge"] };
  return squareOr(value) ?? `size ${JSON.stringify(value)}`;
}

function squareOr(value: unknown): Size | null {
  if (isNumber(value)) return { width: value, height: value };
  if (Array.isArray(value) && value.length === 2 && value.every(isNumber))
    return { height: value[0]!, width: value[1]! };
  if (!isObject(value)) return null;
  const { height, width } = value;
  if (isNumber(height) && isNumber(width)) return { width, height };
  const side = value["shortest_edge"];
  return isNumber(side) ? { width: side, height: side } : null;
}

function fractionIn(value: unknown): number {
  return isNumber(value) ? value : 1;
}
