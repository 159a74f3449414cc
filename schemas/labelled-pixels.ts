import type { PixelBatch } from "./pixels.js";

/** Decoded images with what they show: what a model is trained on and judged by. */
export interface LabelledPixels extends PixelBatch {
  /** Class indices, [count], 0 <= label < number of classes */
  readonly labels: Int32Array;
  /** Probabilities of all C classes that training is to come to, [count x C], row-major, in the place of `labels`; absent: the label's alone */
  readonly targets?: Float32Array | undefined;
}

/** Images of `examples` at `rows`, in that order. `imageBytes`: bytes of one image. */
export function takeRows(examples: LabelledPixels, rows: Int32Array, imageBytes: number): LabelledPixels {
  const pixels = new Uint8Array(rows.length * imageBytes);
  const labels = new Int32Array(rows.length);
  const classes = examples.targets === undefined ? 0 : examples.targets.length / examples.count;
  const targets = examples.targets === undefined ? undefined : new Float32Array(rows.length * classes);
  rows.forEach((row, at) => {
    pixels.set(examples.pixels.subarray(row * imageBytes, (row + 1) * imageBytes), at * imageBytes);
    labels[at] = examples.labels[row]!;
    targets?.set(examples.targets!.subarray(row * classes, (row + 1) * classes), at * classes);
  });
  return { count: rows.length, pixels, labels, targets };
}
