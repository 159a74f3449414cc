import type { DecodeConfig } from "../../schemas/config.js";
import { counted, countText } from "../../schemas/counted.js";
import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { ImageNote } from "../../schemas/image-notes.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { channelsOf } from "../../schemas/pixels.js";

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

/** Camera raw that begins like a TIFF */
const RAW_EXTENSIONS = new Set("dng nef nrw cr2 arw sr2 srf pef srw iiq 3fr fff erf kdc dcr mef mos gpr".split(" "));

/** Whether the header alone is reason to refuse the image, by the policies of the configuration; null: decode it. */
export function refuse(header: ImageHeader, config: DecodeConfig, uri: string): Refusal | null {
  const { width, height } = header;
  const pixels = width * height;
  if (pixels > config.maxPixels) {
    return refusal(
      "E_IMAGE_PIXELS",
      `Expected a picture of at most ${counted(config.maxPixels, "pixel")} (decode.maxPixels), found a header that announces ${width} x ${height} = ${countText(pixels)}`,
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
  const extension = extensionOf(uri);
  if (header.format === "tiff" && RAW_EXTENSIONS.has(extension)) {
    return {
      code: "E_IMAGE_FORMAT",
      reason: `Expected a picture, found camera raw (.${extension}): what of it opens as TIFF is a thumbnail. Develop it to JPEG, PNG or TIFF, then ingest that.`,
    };
  }
  const named = otherFormat(header, uri);
  if (isRefused(config.wrongExtension, config) && named !== null) {
    return refusal(
      "E_IMAGE_EXTENSION",
      `The extension .${extension} names ${named}, the bytes are ${header.format}`,
      "decode.wrongExtension: accept",
    );
  }
  const isPaged = header.format === "tiff";
  // The pages of a TIFF are other pictures, not other moments of one: the first stands for them only where a setting says so.
  if (header.frames > 1 && (isRefused(config.animated, config) || (isPaged && config.animated === undefined))) {
    const found = `The image has ${header.frames} ${isPaged ? "pages" : "frames"}`;
    return refusal("E_IMAGE_ANIMATED", found, "decode.animated: first-frame");
  }
  if (isRefused(config.cmyk, config) && header.colourSpace === "cmyk") {
    return refusal("E_IMAGE_CMYK", "The image is in CMYK, which has no one true sRGB", "decode.cmyk: convert");
  }
  if (isRefused(config.depth16, config) && header.bitsPerChannel > 8) {
    return refusal(
      "E_IMAGE_DEPTH",
      `The image has ${header.bitsPerChannel} bits a channel, a teacher sees 8`,
      "decode.depth16: convert",
    );
  }
  return null;
}

/** What a single setting says, or the preset where it says nothing. */
function isRefused(setting: string | undefined, { strict }: DecodeConfig): boolean {
  return setting === undefined ? strict : setting === "quarantine";
}

/** Whether what the decoder found is reason to refuse the image after all. */
export function refuseDecoded(notes: readonly ImageNote[], config: DecodeConfig): Refusal | null {
  if (!config.strict) return null;
  if (notes.includes("no-end")) {
    return refusal(
      "E_IMAGE_TRUNCATED",
      "The file lacks its end marker, though none of its pixels",
      "decode.strict: false",
    );
  }
  return null;
}

/** What is done to an image that was not refused, so that the teacher can see it; as its header foretells. */
export function notesOf(header: ImageHeader, plan: DecodePlan, uri: string): ImageNote[] {
  const notes: ImageNote[] = [];
  if (otherFormat(header, uri) !== null) notes.push("wrong-extension");
  if (header.frames > 1) notes.push("first-frame");
  if (header.colourSpace === "cmyk") notes.push("cmyk");
  if (header.bitsPerChannel > 8) notes.push("depth");
  if (plan.orientation > 1) notes.push("turned");
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

/** Lower case, without the dot; "" where the uri's last segment has none. A tar member stands after the `#`, before its place. */
function extensionOf(uri: string): string {
  const path = uri.startsWith("tar:") ? uri.slice(uri.indexOf("#") + 1) : uri.replace(/[?#].*$/s, "");
  return /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
}

/**
 * How to make the teacher's input of an image. Sizes are those after EXIF orientation.
 *
 * `crop` is torchvision's Resize(short side) and CenterCrop: the long side is truncated, an odd remainder goes to the even offset (or the lower one, where the card says so), what the
 * scaled image does not fill is black. Without a short side, the image is scaled until it just covers the input. `stretch` scales both
 * sides freely, to the input or to what is cropped to it. `pad` is Pillow's ImageOps.pad: the whole image scaled into the input, rounded, in the middle.
 */
export function planDecode(header: ImageHeader, card: Pick<ModelCard, "input" | "resize">): DecodePlan {
  const { input, resize } = card;
  const orientation = resize.orientation === "ignore" ? 1 : header.orientation;
  const turned = orientation >= 5;
  const width = turned ? header.height : header.width;
  const height = turned ? header.width : header.height;
  const scaled = scaledSize(width, height, input, resize);
  const across = middle(scaled.width, input.width, resize.oddRest);
  const down = middle(scaled.height, input.height, resize.oddRest);
  return {
    output: { width: input.width, height: input.height, channels: channelsOf(input) },
    kernel: resize.kernel,
    antialias: resize.antialias ?? true,
    shrinkOnLoad: resize.shrinkOnLoad,
    orientation,
    colourProfile: resize.colourProfile ?? "ignore",
    alpha: resize.alpha ?? "black",
    scaled,
    crop: { left: across.from, top: down.from, width: across.size, height: down.size },
    place:
      resize.mode === "pad"
        ? { left: halfToEven(input.width - scaled.width), top: halfToEven(input.height - scaled.height) }
        : { left: across.to, top: down.to },
  };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The input's shape with a short side of `shortSide` */
function stretchedTo({ width, height }: Size, shortSide: number | undefined): Size {
  const side = Math.min(width, height);
  const wanted = shortSide ?? side;
  return { width: Math.round((width * wanted) / side), height: Math.round((height * wanted) / side) };
}

function scaledSize(width: number, height: number, input: Size, { mode, shortSide }: ModelCard["resize"]): Size {
  if (mode === "stretch") return stretchedTo(input, shortSide);
  if (mode === "pad") {
    const isWider = width / height > input.width / input.height;
    return isWider
      ? { width: input.width, height: atLeastOne(roundToEven((height / width) * input.width)) }
      : { width: atLeastOne(roundToEven((width / height) * input.height)), height: input.height };
  }
  if (shortSide !== undefined) return shortTo(width, height, shortSide);
  const scaled = shortTo(width, height, Math.min(input.width, input.height));
  if (scaled.width >= input.width && scaled.height >= input.height) return scaled;
  return width * input.height <= height * input.width
    ? { width: input.width, height: Math.max(input.height, Math.floor((input.width * height) / width)) }
    : { width: Math.max(input.width, Math.floor((input.height * width) / height)), height: input.height };
}

function shortTo(width: number, height: number, shortSide: number): Size {
  return width <= height
    ? { width: shortSide, height: Math.floor((shortSide * height) / width) }
    : { width: Math.floor((shortSide * width) / height), height: shortSide };
}

/** The middle of `scaled` pixels that `wanted` takes in, and where they come to lie. */
function middle(
  scaled: number,
  wanted: number,
  oddRest: ModelCard["resize"]["oddRest"],
): { from: number; size: number; to: number } {
  return scaled >= wanted
    ? {
        from: oddRest === "lower" ? Math.floor((scaled - wanted) / 2) : halfToEven(scaled - wanted),
        size: wanted,
        to: 0,
      }
    : { from: 0, size: scaled, to: Math.floor((wanted - scaled) / 2) };
}

/** half of `n`, rounded to the nearest whole number, a tie to the even one: Python's round(n / 2) */
function halfToEven(n: number): number {
  return roundToEven(n / 2);
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function atLeastOne(n: number): number {
  return Math.max(1, n);
}
