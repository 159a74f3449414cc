import type { DecodeConfig } from "../../schemas/config.js";
import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { ImageNote } from "../../schemas/image-notes.js";
import { channelsOf, type ModelCard } from "../../schemas/model-card.js";

export interface Refusal {
  readonly code: ErrorCode;
  /** What was found, and which setting would accept it */
  readonly reason: string;
}

/** The format that a file extension names. Other extensions name none: they contradict nothing. */
const FORMAT_OF_EXTENSION: Readonly<Record<string, string>> = {
  jpg: "jpeg",
  jpeg: "jpeg",
  jpe: "jpeg",
  jfif: "jpeg",
  png: "png",
  apng: "png",
  webp: "webp",
  gif: "gif",
  tif: "tiff",
  tiff: "tiff",
  avif: "avif",
  heif: "avif",
  bmp: "bmp",
  dib: "bmp",
};

/** Whether the header alone is reason to refuse the image, by the policies of the configuration; null: decode it. */
export function refuse(header: ImageHeader, config: DecodeConfig, uri: string): Refusal | null {
  const { width, height } = header;
  const pixels = width * height;
  if (pixels > config.maxPixels) {
    return refusal(
      "E_IMAGE_PIXELS",
      `The header announces ${width} x ${height} = ${pixels} pixels, the limit is ${config.maxPixels}`,
      `decode.maxPixels: ${pixels}`,
    );
  }
  const side = Math.min(width, height);
  if (side < config.minSide) {
    return refusal(
      "E_IMAGE_TINY",
      `The image is ${width} x ${height} px, the least side accepted is ${config.minSide} px`,
      `decode.minSide: ${side}`,
    );
  }
  const named = otherFormat(header, uri);
  if (config.wrongExtension === "quarantine" && named !== null) {
    return refusal(
      "E_IMAGE_EXTENSION",
      `The extension .${extensionOf(uri)} names ${named}, the bytes are ${header.format}`,
      "decode.wrongExtension: accept",
    );
  }
  if (config.animated === "quarantine" && header.frames > 1) {
    return refusal("E_IMAGE_ANIMATED", `The image has ${header.frames} frames`, "decode.animated: first-frame");
  }
  if (config.cmyk === "quarantine" && header.colourSpace === "cmyk") {
    return refusal("E_IMAGE_CMYK", "The image is in CMYK, which has no one true sRGB", "decode.cmyk: convert");
  }
  if (config.depth16 === "quarantine" && header.bitsPerChannel > 8) {
    return refusal(
      "E_IMAGE_DEPTH",
      `The image has ${header.bitsPerChannel} bits a channel, a teacher sees 8`,
      "decode.depth16: convert",
    );
  }
  return null;
}

/** What is done to an image that was not refused, so that the teacher can see it; in the order of IMAGE_NOTES. */
export function notesOf(header: ImageHeader, uri: string): ImageNote[] {
  const notes: ImageNote[] = [];
  if (otherFormat(header, uri) !== null) notes.push("wrong-extension");
  if (header.frames > 1) notes.push("first-frame");
  if (header.colourSpace === "cmyk") notes.push("cmyk");
  if (header.bitsPerChannel > 8) notes.push("depth");
  return notes;
}

/** The format that the name promises, where the bytes are another; null where nothing contradicts. */
function otherFormat(header: ImageHeader, uri: string): string | null {
  const named = FORMAT_OF_EXTENSION[extensionOf(uri)];
  return named === undefined || named === header.format ? null : named;
}

function refusal(code: ErrorCode, found: string, setting: string): Refusal {
  return { code, reason: `${found}; to accept it set ${setting}, then \`sluice quarantine retry\`.` };
}

/** Lower case, without the dot; "" where the uri's last segment has none. A tar member stands after the `#`. */
function extensionOf(uri: string): string {
  const path = uri.startsWith("tar:") ? uri.slice(uri.indexOf("#") + 1) : uri.replace(/[?#].*$/s, "");
  return /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
}

/**
 * How to make the teacher's input of an image. Sizes are those after EXIF orientation.
 *
 * `crop` follows torchvision's Resize(short side) and CenterCrop to the pixel: the long side is truncated, an odd
 * remainder goes to the even offset; where the image would not cover the input (an input less square than the image),
 * it is enlarged until it does. `stretch` scales both sides freely. `pad` scales the whole image into the input,
 * rounded to the nearest pixel, and centres it.
 */
export function planDecode(header: ImageHeader, card: Pick<ModelCard, "input" | "resize">): DecodePlan {
  const { input, resize } = card;
  const turned = header.orientation >= 5;
  const width = turned ? header.height : header.width;
  const height = turned ? header.width : header.height;
  const output = { width: input.width, height: input.height, channels: channelsOf(input) };
  const common = { output, kernel: resize.kernel, shrinkOnLoad: resize.shrinkOnLoad };
  if (resize.mode === "stretch") {
    return {
      ...common,
      scaled: { width: input.width, height: input.height },
      crop: { left: 0, top: 0, width: input.width, height: input.height },
      place: { left: 0, top: 0 },
    };
  }
  if (resize.mode === "pad") {
    const scaled =
      width * input.height >= height * input.width
        ? { width: input.width, height: atLeastOne(Math.round((height * input.width) / width)) }
        : { width: atLeastOne(Math.round((width * input.height) / height)), height: input.height };
    return {
      ...common,
      scaled,
      crop: { left: 0, top: 0, ...scaled },
      place: {
        left: Math.floor((input.width - scaled.width) / 2),
        top: Math.floor((input.height - scaled.height) / 2),
      },
    };
  }
  const scaled = covering(width, height, input, resize.shortSide ?? Math.min(input.width, input.height));
  return {
    ...common,
    scaled,
    crop: {
      left: halfToEven(scaled.width - input.width),
      top: halfToEven(scaled.height - input.height),
      width: input.width,
      height: input.height,
    },
    place: { left: 0, top: 0 },
  };
}

/** The size whose short side is `shortSide`, or the least larger one that covers the input. */
function covering(
  width: number,
  height: number,
  input: { width: number; height: number },
  shortSide: number,
): { width: number; height: number } {
  const scaled =
    width <= height
      ? { width: shortSide, height: Math.floor((shortSide * height) / width) }
      : { width: Math.floor((shortSide * width) / height), height: shortSide };
  if (scaled.width >= input.width && scaled.height >= input.height) return scaled;
  return width * input.height <= height * input.width
    ? { width: input.width, height: Math.max(input.height, Math.floor((input.width * height) / width)) }
    : { width: Math.max(input.width, Math.floor((input.height * width) / height)), height: input.height };
}

/** half of `n`, rounded to the nearest whole number, a tie to the even one: Python's round(n / 2) */
function halfToEven(n: number): number {
  const floor = Math.floor(n / 2);
  return n % 2 === 0 || floor % 2 === 0 ? floor : floor + 1;
}

function atLeastOne(n: number): number {
  return Math.max(1, n);
}
