import type { PixelBatch } from "./pixels.js";

/** Decoded images with what they show: what a model is trained on and judged by. */
export interface LabelledPixels extends PixelBatch {
  /** Class indices, [count], 0 <= label < number of classes */
  readonly labels: Int32Array;
}

/** Images of `examples` at `rows`, in that order. `imageBytes`: bytes of one image. */
export function takeRows(examples: LabelledPixels, rows: Int32Array, imageBytes: number): LabelledPixels {
  const pixels = new Uint8Array(rows.length * imageBytes);
  const labels = new Int32Array(rows.length);
  rows.forEach((row, at) => {
    pixels.set(examples.pixels.subarray(row * imageBytes, (row + 1) * imageBytes), at * imageBytes);
    labels[at] = examples.labels[row]!;
  });
  return { count: rows.length, pixels, labels };
}
