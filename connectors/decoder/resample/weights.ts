import type { DecodePlan } from "../../../schemas/decode-plan.js";

/** The kernels that reduce by weighted sums, with how far each reaches, in pixels of the result. */
const KERNELS: Readonly<Partial<Record<DecodePlan["kernel"], { reach: number; at: (x: number) => number }>>> = {
  linear: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  cubic: { reach: 2, at: (x) => cubic(Math.abs(x), 0, 0.5) },
  mitchell: { reach: 2, at: (x) => cubic(Math.abs(x), 1 / 3, 1 / 3) },
  lanczos2: { reach: 2, at: (x) => (Math.abs(x) < 2 ? sinc(x) * sinc(x / 2) : 0) },
  lanczos3: { reach: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Weights are in 14 bits: they sum to this. */
const ONE = 1 << 14;

/** One axis of a reduction. */
export interface Axis {
  readonly kernel: DecodePlan["kernel"];
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
  /** i16, [to - from x taps]; each row sums to 2^14 */
  readonly weights: Int16Array;
  /** Even. A last pixel may lie beyond the stored ones; its weight is 0 then. */
  readonly taps: number;
}

/** Whether this kernel can be had here, and weights in 14 bits are fine enough for the reduction. */
export function canReduce(kernel: DecodePlan["kernel"], extent: number, scaled: number): boolean {
  return KERNELS[kernel] !== undefined && extent >= scaled && extent <= scaled * MOST_REDUCTION;
}
const MOST_REDUCTION = 16;

/**
 * The weights of an antialiased reduction: the kernel stretched over as many stored pixels as make one of the result, centres on
 * centres, cut off at the edges and brought to a sum of one. Source: Pillow, src/libImaging/Resample.c, which torchvision follows.
 */
export function axisWeights({ kernel, length, extent, scaled, from, to }: Axis): AxisWeights {
  const { reach, at } = KERNELS[kernel]!;
  const scale = Math.max(1, extent / scaled);
  const widest = Math.ceil(reach * scale) * 2 + 1;
  const taps = widest + (widest % 2);
  const starts = new Int32Array(to - from);
  const weights = new Int16Array((to - from) * taps);
  const row = new Float64Array(taps);
  for (let pixel = from; pixel < to; pixel++) {
    const centre = (pixel + 0.5) * (extent / scaled);
    const first = Math.max(0, Math.floor(centre - reach * scale + 0.5));
    const end = Math.min(length, Math.floor(centre + reach * scale + 0.5));
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      row[tap] = first + tap < end ? at((first + tap + 0.5 - centre) / scale) : 0;
      sum += row[tap]!;
    }
    const index = pixel - from;
    starts[index] = first;
    round(row, sum, weights.subarray(index * taps, (index + 1) * taps));
  }
  return trimmed({ starts, weights, taps });
}

/** To 14 bits; what rounding leaves over goes to the greatest weight, so that a flat picture stays as it is. */
function round(row: Float64Array, sum: number, weights: Int16Array): void {
  let rest = ONE;
  let greatest = 0;
  for (const [tap, value] of row.entries()) {
    weights[tap] = Math.round((value / sum) * ONE);
    rest -= weights[tap];
    if (weights[tap] > weights[greatest]!) greatest = tap;
  }
  weights[greatest]! += rest;
}

/** Without taps that are 0 in every row: most axes need two less than the bound allows. */
function trimmed({ starts, weights, taps }: AxisWeights): AxisWeights {
  const isEmpty = (tap: number): boolean => starts.every((_, index) => weights[index * taps + tap] === 0);
  let needed = taps;
  while (needed > 2 && isEmpty(needed - 1) && isEmpty(needed - 2)) needed -= 2;
  if (needed === taps) return { starts, weights, taps };
  const kept = new Int16Array(starts.length * needed);
  for (let index = 0; index < starts.length; index++) {
    kept.set(weights.subarray(index * taps, index * taps + needed), index * needed);
  }
  return { starts, weights: kept, taps: needed };
}

function cubic(x: number, b: number, c: number): number {
  if (x >= 2) return 0;
  return x < 1
    ? ((12 - 9 * b - 6 * c) * x ** 3 + (-18 + 12 * b + 6 * c) * x ** 2 + 6 - 2 * b) / 6
    : ((-b - 6 * c) * x ** 3 + (6 * b + 30 * c) * x ** 2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c) / 6;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
