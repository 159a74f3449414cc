import { turnOf } from "../../schemas/orientation.js";
import type { Picture } from "../../schemas/pixels.js";
import { PDQ_BYTES } from "../../schemas/pdq-hash.js";

export interface Pdq {
  /** 256 bits, one for each of 16 x 16 frequencies, the highest first: in hexadecimal it reads as the reference writes it */
  readonly hash: Uint8Array;
  /** 0 to 100: how much there is to see. Below 50 the reference advises not to trust the hash. */
  readonly quality: number;
}

const GRID = 64;
const HALF = GRID / 2;
const FREQUENCIES = 16;
/** px; of a smaller picture the reference makes the hash 0 */
const LEAST_SIDE = 5;
/** Pixels of a box that are looked at, along each axis: a larger box is looked at in steps, so that a large picture costs what a middling one does */
const BOX_TAPS = 4;

/** [16 x 32]: the left halves of the cosines of frequencies 1 to 16. The right half mirrors the left, with the other sign if the frequency is odd. */
const COSINES = Float64Array.from({ length: FREQUENCIES * HALF }, (_, at) => {
  const frequency = Math.floor(at / HALF) + 1;
  return Math.sqrt(2 / GRID) * Math.cos((Math.PI / (2 * GRID)) * frequency * (2 * (at % HALF) + 1));
});

/**
 * PDQ, the perceptual hash of a whole picture, upright: `orientation` is EXIF's. Luma (Rec. 601) goes twice through a box of 1/128 of each
 * side and is picked at 64 x 64 places; a bit is 1 where a frequency is above the median. Source: Facebook, "The TMK+PDQF Video-Hashing
 * Algorithm and the PDQ Image-Hashing Algorithm", 2019. The two boxes are one set of weights here, so that each pixel is read about once;
 * the reference adds up 32-bit floats, this 64-bit ones. docs/decisions/027-pdq.md says how equal the two are.
 */
export function pdq(picture: Picture, orientation: number): Pdq {
  if (Math.min(picture.width, picture.height) < LEAST_SIDE) return { hash: new Uint8Array(PDQ_BYTES), quality: 0 };
  const luma = sampled(picture, orientation);
  return { hash: aboveMedian(frequenciesOf(luma)), quality: qualityOf(luma) };
}

/** What two passes of the box make of an axis at 64 places, in the order in which they lie in the file. */
interface Samples {
  /** First pixel and number of pixels of each place, [64]; a pixel is `step` behind the one before */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly step: number;
  /** [64 x taps], each row's sum is 1 */
  readonly weights: Float64Array;
  readonly taps: number;
}

/** `fromEnd`: the axis is read from its other end. */
function samplesOf(length: number, fromEnd: boolean): Samples {
  const box = Math.ceil(length / (2 * GRID));
  // A box of even size has one pixel more behind the middle than before it.
  const behind = Math.floor(box / 2);
  const before = box - 1 - behind;
  const step = Math.max(1, Math.floor(box / BOX_TAPS));
  const taps = Math.ceil((2 * box - 1) / step);
  const [starts, counts] = [new Int32Array(GRID), new Int32Array(GRID)];
  const weights = new Float64Array(GRID * taps);
  const all = new Float64Array(2 * box - 1);
  for (let place = 0; place < GRID; place++) {
    const middle = Math.floor(((place + 0.5) * length) / GRID);
    const first = Math.max(0, middle - 2 * before);
    const end = Math.min(length, middle + 2 * behind + 1);
    const [outerFrom, outerTo] = [Math.max(0, middle - before), Math.min(length, middle + behind + 1)];
    all.fill(0);
    for (let at = outerFrom; at < outerTo; at++) {
      const [from, to] = [Math.max(0, at - before), Math.min(length, at + behind + 1)];
      const share = 1 / ((outerTo - outerFrom) * (to - from));
      for (let pixel = from; pixel < to; pixel++) all[pixel - first]! += share;
    }
    // All places look at the same lattice of the upright picture.
    const offset = (step - ((first - Math.floor(step / 2)) % step)) % step;
    let sum = 0;
    for (let tap = offset; tap < end - first; tap += step) sum += all[tap]!;
    const count = Math.ceil((end - first - offset) / step);
    const row = fromEnd ? GRID - 1 - place : place;
    for (let tap = 0; tap < count; tap++) {
      weights[row * taps + (fromEnd ? count - 1 - tap : tap)] = all[offset + tap * step]! / sum;
    }
    counts[row] = count;
    const [firstTaken, lastTaken] = [first + offset, first + offset + (count - 1) * step];
    starts[row] = fromEnd ? length - 1 - lastTaken : firstTaken;
  }
  return { starts, counts, step, weights, taps };
}

/** Luma at 64 x 64 places of the upright picture, 0 to 255. */
function sampled(picture: Picture, orientation: number): Float64Array {
  const { turned, fromRight, fromBottom } = turnOf(orientation);
  const across = samplesOf(picture.width, fromRight);
  const down = samplesOf(picture.height, fromBottom);
  const lineOf = picture.channels === 1 ? greyLine : colourLine;
  const out = new Float64Array(GRID * GRID);
  const line = new Float64Array(GRID);
  const [columnStep, rowStep] = turned ? [GRID, 1] : [1, GRID];
  const firstColumn = fromRight ? (GRID - 1) * columnStep : 0;
  const step = fromRight ? -columnStep : columnStep;
  for (let y = down.starts[0]!, row = 0; y < picture.height; y += down.step) {
    while (row < GRID && down.starts[row]! + down.counts[row]! * down.step <= y) row++;
    if (row === GRID) break;
    if (down.starts[row]! > y) continue;
    lineOf(picture, y, across, line);
    for (let at = row; at < GRID && down.starts[at]! <= y; at++) {
      const weight = down.weights[at * down.taps + (y - down.starts[at]!) / down.step]!;
      let to = firstColumn + (fromBottom ? GRID - 1 - at : at) * rowStep;
      for (let column = 0; column < GRID; column++, to += step) out[to]! += weight * line[column]!;
    }
  }
  return out;
}

function colourLine({ pixels, width }: Picture, y: number, samples: Samples, line: Float64Array): void {
  const { starts, counts, step, weights, taps } = samples;
  for (let column = 0; column < GRID; column++) {
    let sum = 0;
    let from = (y * width + starts[column]!) * 3;
    const end = column * taps + counts[column]!;
    for (let at = column * taps; at < end; at++, from += 3 * step) {
      // Whole numbers: what is equally bright stays so.
      sum += weights[at]! * (pixels[from]! * 299 + pixels[from + 1]! * 587 + pixels[from + 2]! * 114);
    }
    line[column] = sum / 1000;
  }
}

function greyLine({ pixels, width }: Picture, y: number, samples: Samples, line: Float64Array): void {
  const { starts, counts, step, weights, taps } = samples;
  for (let column = 0; column < GRID; column++) {
    let sum = 0;
    let from = y * width + starts[column]!;
    const end = column * taps + counts[column]!;
    for (let at = column * taps; at < end; at++, from += step) sum += weights[at]! * pixels[from]!;
    line[column] = sum;
  }
}

/** The frequencies 1 to 16 down by 1 to 16 across, [16 x 16]. */
function frequenciesOf(luma: Float64Array): Float64Array {
  const half = transformed(luma, GRID);
  return transformed(half, FREQUENCIES);
}

/** The columns of [64 x columns] in their frequencies, transposed: [columns x 16]. */
function transformed(values: Float64Array, columns: number): Float64Array {
  const out = new Float64Array(columns * FREQUENCIES);
  const even = new Float64Array(HALF);
  const odd = new Float64Array(HALF);
  for (let column = 0; column < columns; column++) {
    for (let at = 0; at < HALF; at++) {
      const left = values[at * columns + column]!;
      const right = values[(GRID - 1 - at) * columns + column]!;
      even[at] = left + right;
      odd[at] = left - right;
    }
    // The first of them is the frequency 1, which is odd.
    fourOf(odd, 0, out, column);
    fourOf(even, 1, out, column);
    fourOf(odd, 8, out, column);
    fourOf(even, 9, out, column);
  }
  return out;
}

/** Of every other frequency from `first` on the next four: sums that do not wait for one another, each in its own order. */
function fourOf(folded: Float64Array, first: number, out: Float64Array, column: number): void {
  const row = first * HALF;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let at = 0; at < HALF; at++) {
    const value = folded[at]!;
    a += COSINES[row + at]! * value;
    b += COSINES[row + 2 * HALF + at]! * value;
    c += COSINES[row + 4 * HALF + at]! * value;
    d += COSINES[row + 6 * HALF + at]! * value;
  }
  const to = column * FREQUENCIES + first;
  out[to] = a;
  out[to + 2] = b;
  out[to + 4] = c;
  out[to + 6] = d;
}

/** Differences below this are those of rounding: a flat picture has no frequencies, a mirrored one no odd ones. */
const STEPS = 2 ** 20;

/** A bit for each frequency that is above the median (of an even number the lower), the last frequency's first. */
function aboveMedian(frequencies: Float64Array): Uint8Array {
  const rounded = frequencies.map((value) => Math.round(value * STEPS));
  const median = rounded.slice().sort()[rounded.length / 2 - 1]!;
  const hash = new Uint8Array(PDQ_BYTES);
  rounded.forEach((value, at) => {
    if (value > median) hash[PDQ_BYTES - 1 - (at >> 3)]! |= 1 << (at & 7);
  });
  return hash;
}

/** Steps between neighbours, in whole hundredths of the range: small ones count nothing. */
function qualityOf(luma: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const at = row * GRID + column;
      if (row < GRID - 1) sum += Math.floor((Math.abs(luma[at]! - luma[at + GRID]!) * 100) / 255);
      if (column < GRID - 1) sum += Math.floor((Math.abs(luma[at]! - luma[at + 1]!) * 100) / 255);
    }
  }
  return Math.min(100, Math.floor(sum / 90));
}
