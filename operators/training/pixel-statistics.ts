import type { ModelCard } from "../../schemas/model-card.js";

/** Below this a channel counts as constant: dividing by its spread would only blow up noise. */
const LEAST_STD = 1 / 255;

/**
 * Mean and standard deviation of each channel over all images, as shares of 255: what makes the model's input centred and of unit
 * spread. `pixels` is u8, [n x height x width x channels], not empty.
 */
export function measureNormalise(pixels: Uint8Array, channels: number): ModelCard["normalise"] {
  const mean: number[] = [];
  const std: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    // Sums of whole numbers: exact below 2^53, in any order.
    let sum = 0;
    let squares = 0;
    for (let at = channel; at < pixels.length; at += channels) {
      const value = pixels[at]!;
      sum += value;
      squares += value * value;
    }
    const count = pixels.length / channels;
    const average = sum / count;
    mean.push(average / 255);
    std.push(Math.max(LEAST_STD, Math.sqrt(Math.max(0, squares / count - average * average)) / 255));
  }
  return { mean, std };
}
