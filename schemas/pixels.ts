import { channelsOf, type ModelCard } from "./model-card.js";

/** Decoded images at a model's input size: u8, [n x height x width x channels], RGB or grey, sRGB values. */
export interface PixelBatch {
  readonly count: number;
  readonly pixels: Uint8Array;
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
  for (let channel = 0; channel < channels; channel++) {
    const source = input.colour === "bgr" ? channels - 1 - channel : channel;
    const row = table.subarray(channel * 256, channel * 256 + 256);
    for (let image = 0; image < batch.count; image++) {
      const from = image * area * channels + source;
      if (input.layout === "NCHW") {
        let to = (image * channels + channel) * area;
        for (let at = from, end = from + area * channels; at < end; at += channels) out[to++] = row[pixels[at]!]!;
      } else {
        let to = image * area * channels + channel;
        for (let at = from, end = from + area * channels; at < end; at += channels, to += channels) {
          out[to] = row[pixels[at]!]!;
        }
      }
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
