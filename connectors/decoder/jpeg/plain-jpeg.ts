import type { DecodePlan, ImageHeader } from "../../../schemas/decode-plan.js";
import { greyed } from "../headers/channels.js";
import type { Onlooker } from "../decoder.js";
import { cropAsStored } from "../headers/orientation.js";
import type { Resampler } from "../resample/resampler.js";
import { isGreyedFirst, isOneSided, scalingOf } from "../scaling.js";
import type { StoredPixels } from "../libvips/stored-pixels.js";
import { BLOCK_COLUMNS, type JpegDecoder, type Shrink } from "./turbojpeg.js";

/** Pixels of the largest image that is decoded into the scaler's own memory, 12 MB, which stays. */
const MOST_PIXELS = 4_000_000;

/** What libjpeg-turbo made of a file: the crop, scaled; or the whole image, to be scaled by strips. */
export type LoadedJpeg =
  | { readonly kind: "scaled"; /** u8, [height x width x 3], as stored */ readonly pixels: Uint8Array }
  | { readonly kind: "stored"; readonly stored: StoredPixels; readonly shrink: Shrink };

/**
 * The short way for JPEG: libjpeg-turbo, then the weighted sums of the crop alone; with an onlooker the whole is decoded. Null where the file is not of that kind (CMYK, 12
 * bits, lossless, arithmetic), or anything about it is odd: then libvips decides.
 */
export async function loadPlainJpeg(
  jpeg: JpegDecoder,
  resampler: Resampler,
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  onlooker?: Onlooker,
): Promise<LoadedJpeg | null> {
  const { width, height, colourSpace } = header;
  if (header.format !== "jpeg" || header.bitsPerChannel !== 8 || colourSpace === "cmyk") return null;
  const frame = jpeg.header(bytes);
  if (frame === null || !frame.isUsual || frame.colours === "other" || frame.bitsPerChannel !== 8) return null;
  if (frame.width !== width || frame.height !== height) return null;
  const shrink = shrinkOf(header, plan);
  const scaling = scalingOf(width, height, plan, shrink);
  if (scaling !== null && width * height <= MOST_PIXELS && !(isOneSided(plan.kernel) && plan.orientation > 1)) {
    const needed = onlooker === undefined ? BLOCK_COLUMNS / shrink : "all";
    const { region, pixels } = resampler.source(scaling.across, scaling.down, scaling.order, needed);
    if (!(await jpeg.decode(bytes, shrink, region, pixels))) return null;
    onlooker?.({ pixels, width: region.width, height: region.height, channels: 3 });
    if (isGreyedFirst(plan) && colourSpace !== "b-w") greyed(pixels);
    return { kind: "scaled", pixels: resampler.scale() };
  }
  const size = { width: Math.ceil(width / shrink), height: Math.ceil(height / shrink) };
  const pixels = Buffer.allocUnsafeSlow(size.width * size.height * 3);
  if (!(await jpeg.decode(bytes, shrink, { left: 0, top: 0, ...size }, pixels))) return null;
  return { kind: "stored", stored: { pixels, ...size, channels: 3, notes: [] }, shrink };
}

/** The fraction at which an image may be loaded that is to be made so many times smaller: something is left to scale. */
function shrinkOf({ width, height }: ImageHeader, plan: DecodePlan): Shrink {
  if (!plan.shrinkOnLoad || isOneSided(plan.kernel)) return 1;
  const { scaled } = cropAsStored(plan, plan.orientation);
  const times = Math.min(width / scaled.width, height / scaled.height);
  return times >= 9 ? 8 : times >= 5 ? 4 : times >= 3 ? 2 : 1;
}
