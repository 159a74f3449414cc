import type { DecodePlan } from "../../../schemas/decode-plan.js";
import { turnOf } from "../../../schemas/orientation.js";

/** The plan's scaled image and its crop as they lie in the file, before it is turned upright. */
export function cropAsStored({ scaled, crop }: DecodePlan, orientation: number): Pick<DecodePlan, "scaled" | "crop"> {
  const { turned, fromRight, fromBottom } = turnOf(orientation);
  const size = turned ? { width: scaled.height, height: scaled.width } : scaled;
  const part = turned ? { left: crop.top, top: crop.left, width: crop.height, height: crop.width } : crop;
  return {
    scaled: size,
    crop: {
      ...part,
      left: fromRight ? size.width - part.left - part.width : part.left,
      top: fromBottom ? size.height - part.top - part.height : part.top,
    },
  };
}

/** Undoes EXIF orientation: pixels as stored to upright ones, [height x width x channels]. Returns `pixels` where there is nothing to do. */
export function turnedUpright(
  pixels: Uint8Array,
  orientation: number,
  width: number,
  height: number,
  channels: 1 | 3,
): Uint8Array {
  const { turned, fromRight, fromBottom } = turnOf(orientation);
  if (!turned && !fromRight && !fromBottom) return pixels;
  const [storedWidth, storedHeight] = turned ? [height, width] : [width, height];
  // How far a step to the right and a step down in the upright picture go in the stored one
  const alongRow = fromRight ? -channels : channels;
  const alongColumn = (fromBottom ? -channels : channels) * storedWidth;
  const [right, down] = turned ? [alongColumn, alongRow] : [alongRow, alongColumn];
  const first = ((fromRight ? storedWidth - 1 : 0) + (fromBottom ? (storedHeight - 1) * storedWidth : 0)) * channels;
  const out = new Uint8Array(pixels.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = first + y * down; x < width; x++, from += right) {
      for (let channel = 0; channel < channels; channel++) out[to++] = pixels[from + channel]!;
    }
  }
  return out;
}
