import type { ModelCard } from "./model-card.js";

/** A whole picture: u8, [height x width x channels], grey or RGB. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** Decoded images at a model's input size: u8, [n x height x width x channels], RGB or grey, sRGB values. */
export interface PixelBatch {
  readonly count: number;
  readonly pixels: Uint8Array;
}

/** Channels of the model's input: 1 or 3. */
export function channelsOf(input: ModelCard["input"]): 1 | 3 {
  return input.colour === "grey" ? 1 : 3;
}

/** Bytes of one image's pixels at the model's input size. */
export function pixelBytes(input: ModelCard["input"]): number {
  return input.width * input.height * channelsOf(input);
}

/**
 * The one preprocessing behind every engine and behind training: u8 pixels to the model's float32 tensor,
 * (u8/255 - mean) / std, in the model's layout and channel order. Writes `count` images into `out` from its start.
 */
export function toTensor(
  batch: PixelBatch,
  card: Pick<ModelCard, "input" | "normalise">,
  out: Float32Array = new Float32Array(batch.count * pixelBytes(card.input)),
): Float32Array {
  const { input, normalise } = card;
  const channels = channelsOf(input);
  const area = input.width * input.height;
  const table = normaliseTable(normalise, channels);
  const { pixels } = batch;
  // Where a channel's values go: NCHW has it in one piece, NHWC in every third place.
  const [step, stride] = input.layout === "NCHW" ? [1, area] : [channels, 1];
  if (channels === 1) {
    for (let at = 0, end = batch.count * area; at < end; at++) out[at] = table[pixels[at]!]!;
    return out;
  }
  // The model's channel for each of red, green and blue; its part of the table, and its first place in an image
  const [red, green, blue] = input.colour === "bgr" ? [2, 1, 0] : [0, 1, 2];
  const [redTable, greenTable, blueTable] = [red * 256, green * 256, blue * 256];
  const [redAt, greenAt, blueAt] = [red * stride, green * stride, blue * stride];
  for (let image = 0; image < batch.count; image++) {
    let from = image * area * 3;
    for (let to = from, end = from + area * step; to < end; to += step, from += 3) {
      out[to + redAt] = table[redTable + pixels[from]!]!;
      out[to + greenAt] = table[greenTable + pixels[from + 1]!]!;
      out[to + blueAt] = table[blueTable + pixels[from + 2]!]!;
    }
  }
  return out;
}

/** 256 values a channel: a table lookup is several times faster than the arithmetic, with the same bits. */
function normaliseTable(normalise: ModelCard["normalise"], channels: number): Float32Array {
  const table = new Float32Array(channels * 256);
  for (let channel = 0; channel < channels; channel++) {
    const mean = normalise.mean[channel] ?? normalise.mean[0]!;
    const std = normalise.std[channel] ?? normalise.std[0]!;
    for (let value = 0; value < 256; value++) table[channel * 256 + value] = (value / 255 - mean) / std;
  }
  return table;
}
