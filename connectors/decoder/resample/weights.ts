import type { DecodePlan } from "../../../schemas/decode-plan.js";

/** The kernels of weighted sums, with how far each reaches, in pixels of the result. `nearest` picks pixels: it is not one of them. */
type Weighted = Exclude<DecodePlan["kernel"], "nearest">;
const KERNELS: Readonly<Record<Weighted, { reach: number; at: (x: number) => number }>> = {
  box: { reach: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  linear: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { reach: 1, at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
  cubic: { reach: 2, at: (x) => cubic(Math.abs(x)) },
  lanczos3: { reach: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Weights are in 22 bits: a whole one is this. */
const ONE = 2 ** 22;

/** One axis of scaling. */
export interface Axis {
  readonly kernel: Weighted;
  /** Whether the kernel is stretched over all stored pixels that make one of the result */
  readonly antialias: boolean;
  /** px stored, and how many of the scaled image's pixels they make; `extent` is not whole where the image was loaded at a fraction */
  readonly length: number;
  readonly extent: number;
  readonly scaled: number;
  /** The part [from, to) of the scaled image that is wanted, px */
  readonly from: number;
  readonly to: number;
}

/** What each wanted pixel of an axis is the sum of. */
export interface AxisWeights {
  /** The first stored pixel of each, `to - from` of them */
  readonly starts: Int32Array;
  /** [to - from x taps], of 22 bits */
  readonly weights: Int32Array;
  readonly taps: number;
  /** The stored pixels [first, end) that any of them needs */
  readonly first: number;
  readonly end: number;
}

/**
 * The weights of an axis: the kernel over the stored pixels, centres on centres, cut off at the edges and brought to a sum of one,
 * each rounded to 22 bits by itself. Source: Pillow, src/libImaging/Resample.c, which torchvision follows.
 */
export function axisWeights({ kernel, antialias, length, extent, scaled, from, to }: Axis): AxisWeights {
  const { reach, at } = KERNELS[kernel];
  const scale = extent / scaled;
  const stretch = antialias ? Math.max(1, scale) : 1;
  const support = reach * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to - from);
  const weights = new Int32Array((to - from) * taps);
  const row = new Float64Array(taps);
  let [least, greatest, widest] = [length, 0, 1];
  for (let index = 0; index < to - from; index++) {
    const centre = (from + index + 0.5) * scale;
    const first = Math.min(length - 1, Math.max(0, Math.trunc(centre - support + 0.5)));
    const count = Math.max(1, Math.min(length, Math.trunc(centre + support + 0.5)) - first);
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      row[tap] = at((first + tap - centre + 0.5) * (1 / stretch));
      sum += row[tap]!;
    }
    for (let tap = 0; tap < count; tap++) {
      const weight = sum === 0 ? 0 : (row[tap]! / sum) * ONE;
      weights[index * taps + tap] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    starts[index] = first;
    least = Math.min(least, first);
    greatest = Math.max(greatest, first + count);
    widest = Math.max(widest, count);
  }
  return { starts, weights: packed(weights, taps, widest), taps: widest, first: least, end: greatest };
}

/** Rows of `widest` weights in place of `taps`. */
function packed(weights: Int32Array, taps: number, widest: number): Int32Array {
  if (taps === widest) return weights;
  const rows = weights.length / taps;
  for (let row = 1; row < rows; row++) weights.copyWithin(row * widest, row * taps, row * taps + widest);
  return weights.subarray(0, rows * widest);
}

/** Keys, 1981, with a = -1/2 */
function cubic(x: number): number {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
