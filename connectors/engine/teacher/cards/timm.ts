import type { ModelCard } from "../../../../schemas/model-card.js";
import { channelsIn, isNumber, isObject, labelsIn, type JsonObject, type Size, type ToldCard } from "./told-card.js";

/** What timm's `resolve_data_config` takes where a configuration does not say */
const DEFAULTS = { crop_pct: 0.875, interpolation: "bicubic", mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const KERNELS: Readonly<Record<string, ModelCard["resize"]["kernel"]>> = {
  nearest: "nearest",
  bilinear: "linear",
  bicubic: "cubic",
  lanczos: "lanczos3",
  box: "box",
  hamming: "hamming",
};

/** A config.json of timm's: `pretrained_cfg`, or its members on top. Null for anything else. */
export function readTimm(json: JsonObject, from: string): ToldCard | null {
  const inner = isObject(json["pretrained_cfg"]) ? json["pretrained_cfg"] : null;
  const isTimm =
    inner !== null || (typeof json["architecture"] === "string" && ("input_size" in json || "crop_pct" in json));
  if (!isTimm) return null;
  const config = { ...json, ...inner };
  const size = config["input_size"];
  const [depth, height, width] = Array.isArray(size) ? (size as unknown[]) : [];
  const labels = labelsIn(config["label_names"]) ?? labelsIn(json["label_names"]) ?? labelsIn(config["labels"]);
  return {
    from,
    ...(isNumber(height) && isNumber(width) ? { size: { width, height }, sizeIsDefault: true } : {}),
    ...(depth === 1 ? { colour: "grey" as const } : {}),
    normalise: {
      mean: channelsIn(config["mean"]) ?? (depth === 1 ? [0] : DEFAULTS.mean),
      std: channelsIn(config["std"]) ?? (depth === 1 ? [1] : DEFAULTS.std),
    },
    resize: (input) => resizeOf(config, input),
    // Its datasets open with Pillow and convert("RGB"), and turn nothing.
    opening: { orientation: "ignore", alpha: "drop" },
    ...(labels === null ? {} : { labels }),
  };
}

/** As `transforms_imagenet_eval`: the short side is the size divided by the crop fraction, rounded down. */
function resizeOf(config: JsonObject, input: Size): ReturnType<NonNullable<ToldCard["resize"]>> {
  const interpolation = config["interpolation"] ?? DEFAULTS.interpolation;
  const kernel = typeof interpolation === "string" ? KERNELS[interpolation] : undefined;
  if (kernel === undefined) return { refused: `interpolation ${JSON.stringify(interpolation)}` };
  const fraction = isNumber(config["crop_pct"]) ? config["crop_pct"] : DEFAULTS.crop_pct;
  const shortSide = Math.floor(Math.min(input.width, input.height) / fraction);
  const mode = config["crop_mode"] ?? "center";
  // It covers such an input, with sides rounded otherwise than a card's crop rounds them.
  if (input.width !== input.height && mode === "center")
    return { refused: "crop_mode center of an input that is not square" };
  if (mode === "center") return { mode: "crop", kernel, shortSide };
  if (mode !== "squash") return { refused: `crop_mode ${JSON.stringify(mode)}` };
  if (shortSide === Math.min(input.width, input.height)) return { mode: "stretch", kernel };
  return { mode: "stretch", kernel, shortSide };
}
