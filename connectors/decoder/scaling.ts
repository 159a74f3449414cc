import type { DecodePlan } from "../../schemas/decode-plan.js";
import { repeatGrey } from "./headers/channels.js";
import { cropAsStored } from "./headers/orientation.js";
import type { PassOrder } from "./resample/resampler.js";
import type { Axis } from "./resample/weights.js";
import type { StoredPixels } from "./libvips/stored-pixels.js";

/** How the file's own columns and rows become those of the crop; null where pixels are picked or stay as they are. */
export interface Scaling {
  readonly across: Axis;
  readonly down: Axis;
  readonly order: PassOrder;
}

/** `shrink`: the image is loaded at this fraction of its size. `width` and `height` are those of the file. */
export function scalingOf(width: number, height: number, plan: DecodePlan, shrink: number): Scaling | null {
  const { kernel, antialias } = plan;
  const { scaled, crop } = cropAsStored(plan, plan.orientation);
  if (kernel === "nearest" || (scaled.width === width && scaled.height === height && shrink === 1)) return null;
  const axis = (length: number, to: number, from: number, size: number): Axis => ({
    kernel,
    antialias,
    length: Math.ceil(length / shrink),
    extent: length / shrink,
    scaled: to,
    from,
    to: from + size,
  });
  return {
    across: axis(width, scaled.width, crop.left, crop.width),
    down: axis(height, scaled.height, crop.top, crop.height),
    order: orderOf(width, height, scaled, plan.orientation >= 5),
  };
}

/**
 * Which pass comes first, by the sizes upright, as Pillow 13 has it: down where that takes away more rows than across takes away pairs
 * of columns. Found by comparing both orders with what it gives; older ones always go across first.
 */
function orderOf(width: number, height: number, scaled: DecodePlan["scaled"], isTurned: boolean): PassOrder {
  const [fewerColumns, fewerRows] = [width - scaled.width, height - scaled.height];
  const [fewerAcross, fewerDown] = isTurned ? [fewerRows, fewerColumns] : [fewerColumns, fewerRows];
  const isDownFirst = fewerDown > 2 * Math.max(0, fewerAcross);
  return isDownFirst === isTurned ? "across first" : "down first";
}

/** Whether colours become grey before pixels are mixed, as where Python opens an image as grey: kernels that overshoot are cut off there. */
export function isGreyedFirst(plan: DecodePlan): boolean {
  return plan.output.channels === 1 && plan.colourProfile === "ignore";
}

/** Which kernels look at the two sides of a pixel in different ways: what they make of a turned image is not what they make, turned. */
export function isOneSided(kernel: DecodePlan["kernel"]): boolean {
  return kernel === "nearest" || kernel === "box";
}

/** The crop of an image of which no pixel is mixed with another: u8, [height x width x 3], as stored. Pixels are picked as Pillow does. */
export function pickPixels(stored: StoredPixels, plan: DecodePlan): Uint8Array {
  const { scaled, crop } = cropAsStored(plan, plan.orientation);
  const columns = pickedPlaces(stored.width, scaled.width, crop.left, crop.width);
  const rows = pickedPlaces(stored.height, scaled.height, crop.top, crop.height);
  const { pixels, width, channels } = stored;
  if (crop.width === width && crop.height === stored.height && scaled.width === width) {
    return channels === 3 ? pixels : repeatGrey(pixels);
  }
  const out = new Uint8Array(crop.width * crop.height * 3);
  const [green, blue] = channels === 3 ? [1, 2] : [0, 0];
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * channels;
      out[to] = pixels[from]!;
      out[to + 1] = pixels[from + green]!;
      out[to + 2] = pixels[from + blue]!;
      to += 3;
    }
  }
  return out;
}

/** Steps are added up from the first pixel on, as Pillow's ImagingScaleAffine does: multiplying gives other pixels where it is close. */
function pickedPlaces(length: number, scaled: number, from: number, size: number): Int32Array {
  const step = length / scaled;
  const places = new Int32Array(size);
  for (let at = 0, place = step * 0.5; at < from + size; at++, place += step) {
    if (at >= from) places[at - from] = Math.min(length - 1, Math.floor(place));
  }
  return places;
}
