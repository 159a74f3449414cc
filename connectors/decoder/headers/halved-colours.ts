import type { ColourCode } from "./avif-as-stored.js";

/** Pixels as a decoder gives them of `asStored`, interleaved: red is one colour, green the brightness, blue the other, then perhaps alpha */
export interface StoredColours {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
}

/**
 * Makes RGB (and alpha) of colours that were stored at half the size, gone over gradually as libavif does. Null where they are not as a
 * decoder gives them that repeats each of them, in pictures that it has not turned, or where the matrix is none of those known here.
 */
export function withFullColours(stored: StoredColours, code: ColourCode): Uint8Array | null {
  const weights = weightsOf(code);
  if (weights === null || !isHalved(stored, "across")) return null;
  // Colours may be halved across alone (4:2:2).
  const isHalvedDown = isHalved(stored, "down");
  return mixed(stored, weights, smoothed(stored, 0, isHalvedDown), smoothed(stored, 2, isHalvedDown));
}

/** The same of colours at full size, by a code that `codeBehind` has found. */
export function withColours(stored: StoredColours, code: ColourCode): Uint8Array {
  const only = (channel: number): Uint8Array =>
    Uint8Array.from({ length: stored.width * stored.height }, (_, at) => stored.data[at * stored.channels + channel]!);
  return mixed(stored, weightsOf(code)!, only(0), only(2));
}

/** `reds`, `blues`: one value a pixel, at full size */
function mixed({ data, channels }: StoredColours, weights: Weights, reds: Uint8Array, blues: Uint8Array): Uint8Array {
  const out = new Uint8ClampedArray(data.length);
  for (let pixel = 0, at = 0; pixel < reds.length; pixel++, at += channels) {
    mix(weights, data[at + 1]!, blues[pixel]!, reds[pixel]!, out, at);
    if (channels === 4) out[at + 3] = data[at + 3]!;
  }
  return new Uint8Array(out.buffer);
}

/** Pixels that are compared to find a picture's code */
const COMPARED = 4096;
/** A decoder's own RGB is so near to that of the right code, in the mean; the next code's is further */
const NEAR = 1;
const CANDIDATES: readonly ColourCode[] = [6, 1, 9].flatMap((matrix) =>
  [true, false].map((isFullRange) => ({ matrix, isFullRange })),
);

/** The code by which a decoder has made `rgb`, of as many channels, of the same picture; null where it is not the one that is `told`, or none of those known here. */
export function codeBehind(
  rgb: Uint8Array,
  { data, width, height, channels }: StoredColours,
  told: ColourCode | null,
): ColourCode | null {
  const step = Math.max(1, Math.floor((width * height) / COMPARED)) * channels;
  const made = new Uint8ClampedArray(3);
  let best: { readonly code: ColourCode; readonly mean: number } | null = null;
  for (const code of told === null ? CANDIDATES : [told]) {
    const weights = weightsOf(code);
    if (weights === null) continue;
    let [sum, count] = [0, 0];
    for (let at = 0; at < data.length; at += step, count += 3) {
      mix(weights, data[at + 1]!, data[at + 2]!, data[at]!, made, 0);
      for (let channel = 0; channel < 3; channel++) sum += Math.abs(made[channel]! - rgb[at + channel]!);
    }
    if (best === null || sum / count < best.mean) best = { code, mean: sum / count };
  }
  return best !== null && best.mean <= NEAR ? best.code : null;
}

/** Whether pixels share their colours in pairs along an axis, from its start. */
function isHalved({ data, width, height, channels }: StoredColours, axis: "across" | "down"): boolean {
  const [length, lines] = axis === "across" ? [width, height] : [height, width];
  const [step, line] = axis === "across" ? [channels, width * channels] : [width * channels, channels];
  for (let other = 0; other < lines; other++) {
    for (let at = 0; at + 1 < length; at += 2) {
      const one = other * line + at * step;
      if (data[one] !== data[one + step] || data[one + 2] !== data[one + step + 2]) return false;
    }
  }
  return true;
}

/** One channel, each value mixed from its own place by three quarters and its neighbour's by one, along each axis that was halved. */
function smoothed(
  { data, width, height, channels }: StoredColours,
  channel: number,
  isHalvedDown: boolean,
): Uint8Array {
  const out = new Uint8Array(width * height);
  const besideX = neighbours(width, true);
  // libyuv mixes the last row of an odd height with the one above, and leaves the last column of an odd width as it is.
  if (width % 2 === 1) besideX[width - 1] = width - 1;
  const besideY = neighbours(height, isHalvedDown);
  for (let y = 0, at = 0; y < height; y++) {
    const row = y * width * channels + channel;
    const otherRow = besideY[y]! * width * channels + channel;
    for (let x = 0; x < width; x++) {
      const [column, otherColumn] = [x * channels, besideX[x]! * channels];
      const near = 9 * data[row + column]! + 3 * data[row + otherColumn]!;
      out[at++] = (near + 3 * data[otherRow + column]! + data[otherRow + otherColumn]! + 8) >> 4;
    }
  }
  return out;
}

/** Of each place along an axis, one whose colours are those of the nearer neighbour; at the ends its own. */
function neighbours(length: number, isHalvedThere: boolean): Int32Array {
  return Int32Array.from({ length }, (_, at) => {
    if (!isHalvedThere) return at;
    const beside = at % 2 === 0 ? at - 1 : at + 1;
    return beside < 0 || beside >= length ? at : beside;
  });
}

/** In 64ths, but for the brightness: that in 1/65536 of one, for 257 times its value */
interface Weights {
  readonly brightness: number;
  readonly lift: number;
  readonly redOfRed: number;
  readonly greenOfBlue: number;
  readonly greenOfRed: number;
  readonly blueOfBlue: number;
}

/** Share of red and of blue in the brightness, by code. 2 is none said, which libavif takes for 601. */
const SHARES: Readonly<Record<number, readonly [red: number, blue: number]>> = {
  1: [0.2126, 0.0722],
  2: [0.299, 0.114],
  5: [0.299, 0.114],
  6: [0.299, 0.114],
  9: [0.2627, 0.0593],
};

/** The fixed point of libyuv, which libavif goes through. Source: ITU-T H.273, equations 38 to 43. */
function weightsOf({ matrix, isFullRange }: ColourCode): Weights | null {
  const shares = SHARES[matrix];
  if (shares === undefined) return null;
  const [red, blue] = shares;
  const green = 1 - red - blue;
  // Brightness from 16 to 235, colours from 16 to 240, where the range is not full; libyuv rounds the former but for 2020.
  const ofBrightness = isFullRange ? 1 : matrix === 9 ? 255 / 219 : 1.164;
  const ofColours = isFullRange ? 1 : 255 / 224;
  const in64ths = (value: number): number => Math.round(value * 64 * ofColours);
  return {
    brightness: Math.round((ofBrightness * 64 * 65_536) / 257),
    lift: isFullRange ? 32 : Math.round(-16 * 64 * ofBrightness) + 32,
    redOfRed: in64ths(2 * (1 - red)),
    greenOfBlue: in64ths((2 * blue * (1 - blue)) / green),
    greenOfRed: in64ths((2 * red * (1 - red)) / green),
    // libyuv keeps it in 8 bits.
    blueOfBlue: Math.min(128, in64ths(2 * (1 - blue))),
  };
}

function mix(
  weights: Weights,
  brightness: number,
  blueDifference: number,
  redDifference: number,
  out: Uint8ClampedArray,
  at: number,
): void {
  const base = ((brightness * 257 * weights.brightness) >>> 16) + weights.lift;
  const [blue, red] = [blueDifference - 128, redDifference - 128];
  out[at] = (base + weights.redOfRed * red) >> 6;
  out[at + 1] = (base - weights.greenOfBlue * blue - weights.greenOfRed * red) >> 6;
  out[at + 2] = (base + weights.blueOfBlue * blue) >> 6;
}
