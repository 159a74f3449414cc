import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import { cropAsStored, turnedUpright } from "./orientation.js";
import { Resampler } from "./resample/resampler.js";
import { canReduce, type Axis } from "./resample/weights.js";
import { BLOCK_COLUMNS, type JpegDecoder, type Shrink, type Turbojpeg } from "./turbojpeg.js";
import { conversionOf } from "./to-srgb.js";

/** Pixels of the largest image that is decoded whole: 12 MB, which a place keeps. libvips decodes larger ones in strips. */
const MOST_PIXELS = 4_000_000;

/** Of so few pixels that the two ways' edges and rounding are most of the picture: no model looks at them, and libvips decides. */
const LEAST_SIDE = 16;

/** What decoding one image takes. Native memory and WebAssembly's do not shrink: places are kept, and used again. */
interface Place {
  readonly jpeg: JpegDecoder;
  readonly resampler: Resampler;
}
const idle: Place[] = [];

/**
 * The short way for ordinary JPEGs that are made smaller: libjpeg-turbo, then the weighted sums of the crop alone. Null where the file
 * or the plan is not of that kind, or anything about the file is odd: then libvips decides. u8, [height x width x 3] of the plan's output.
 */
export async function decodePlainJpeg(
  turbojpeg: Turbojpeg,
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
): Promise<Uint8Array | null> {
  const reduction = reductionOf(header, plan);
  if (reduction === null) return null;
  const place = idle.pop() ?? { jpeg: turbojpeg.open(), resampler: new Resampler() };
  try {
    const frame = place.jpeg.header(bytes);
    if (frame === null || !frame.isUsual || frame.colours === "other" || frame.bitsPerChannel !== 8) return null;
    if (frame.width !== header.width || frame.height !== header.height) return null;
    const { shrink, across, down } = reduction;
    const { region, pixels } = place.resampler.source(across, down, BLOCK_COLUMNS / shrink);
    if (!(await place.jpeg.decode(bytes, shrink, region, pixels))) return null;
    const { crop } = plan;
    const stored = place.resampler.reduce();
    return placed(turnedUpright(stored, header.orientation, crop.width, crop.height), header, plan);
  } finally {
    idle.push(place);
  }
}

interface Reduction {
  readonly shrink: Shrink;
  readonly across: Axis;
  readonly down: Axis;
}

/** How the file's own rows and columns become those of the crop; null: not by this way. */
function reductionOf(header: ImageHeader, plan: DecodePlan): Reduction | null {
  const { width, height, orientation, colourSpace, colourProfile } = header;
  if (header.format !== "jpeg" || header.bitsPerChannel !== 8 || width * height > MOST_PIXELS) return null;
  const isPlainGrey = colourSpace === "b-w" && colourProfile === null;
  if (!isPlainGrey && (colourSpace !== "srgb" || conversionOf(colourProfile) === "libvips")) return null;
  const { scaled, crop } = cropAsStored(plan, orientation);
  if (Math.min(scaled.width, scaled.height) < LEAST_SIDE) return null;
  const shrink = plan.shrinkOnLoad ? shrinkOf(Math.min(width / scaled.width, height / scaled.height)) : 1;
  const { kernel } = plan;
  if (!canReduce(kernel, width / shrink, scaled.width) || !canReduce(kernel, height / shrink, scaled.height))
    return null;
  const axis = (length: number, to: number, from: number, size: number): Axis => ({
    kernel,
    length: Math.ceil(length / shrink),
    extent: length / shrink,
    scaled: to,
    from,
    to: from + size,
  });
  return {
    shrink,
    across: axis(width, scaled.width, crop.left, crop.width),
    down: axis(height, scaled.height, crop.top, crop.height),
  };
}

/** The fraction at which an image may be loaded that is to be made so many times smaller: as sharp takes it, which leaves something to scale. */
function shrinkOf(times: number): Shrink {
  return times >= 9 ? 8 : times >= 5 ? 4 : times >= 3 ? 2 : 1;
}

/** Black around what does not fill the output, and the colours of sRGB. */
function placed(pixels: Uint8Array, { colourSpace, colourProfile }: ImageHeader, plan: DecodePlan): Uint8Array {
  const { crop, place, output } = plan;
  const conversion = colourSpace === "srgb" ? conversionOf(colourProfile) : "none";
  if (typeof conversion === "function") conversion(pixels);
  if (crop.width === output.width && crop.height === output.height) return pixels;
  const out = new Uint8Array(output.width * output.height * 3);
  for (let y = 0; y < crop.height; y++) {
    const row = pixels.subarray(y * crop.width * 3, (y + 1) * crop.width * 3);
    out.set(row, ((place.top + y) * output.width + place.left) * 3);
  }
  return out;
}
