import { isSrgb, parseMatrixProfile, SRGB_PRIMARIES, srgbToLight, type MatrixProfile } from "../headers/icc-profile.js";

/** Turns pixels of a profile's space (u8, RGB, interleaved) into sRGB, in place. */
export type ToSrgb = (pixels: Uint8Array) => void;

/** What to do about an embedded profile; `libvips`: it needs a colour management system. */
export type Conversion = "none" | "libvips" | ToSrgb;

/** Steps from no light to all of it: at its steepest, in the blacks, a step is a fifth of an 8-bit value. */
const STEPS = 16_384;

/** Conversions kept: photographs of one camera carry one profile. */
const KEPT = 8;
const kept: { profile: Uint8Array; conversion: Conversion }[] = [];

/**
 * The conversion of an embedded RGB profile. A colour management system spends some 3 ms on setting up for a profile, more than
 * an image takes to decode; a profile of primaries and curves is a matrix between two tables, made once.
 */
export function conversionOf(profile: Uint8Array | null): Conversion {
  if (profile === null) return "none";
  const known = kept.findIndex((each) => Buffer.compare(each.profile, profile) === 0);
  const found =
    known >= 0 ? kept.splice(known, 1)[0]! : { profile: new Uint8Array(profile), conversion: make(profile) };
  kept.unshift(found);
  kept.length = Math.min(kept.length, KEPT);
  return found.conversion;
}

function make(profile: Uint8Array): Conversion {
  const parsed = parseMatrixProfile(profile);
  if (parsed === null) return "libvips";
  return isSrgb(parsed) ? "none" : throughMatrix(parsed);
}

/** Tables in whole numbers, one for each pair of channels, take a fifth of the time that multiplying does. */
function throughMatrix({ primaries, curves }: MatrixProfile): ToSrgb {
  const inverse = inverted(SRGB_PRIMARIES);
  // share(i, j): how much of the profile's primary j goes into sRGB's primary i.
  const share = (to: number, from: number): number =>
    inverse[to]!.reduce((sum, value, at) => sum + value * primaries[from]![at]!, 0);
  const steps = (to: number, from: number): Int32Array =>
    Int32Array.from({ length: 256 }, (_, value) => Math.round(STEPS * share(to, from) * curves[from]!(value / 255)));
  const [rr, rg, rb] = [steps(0, 0), steps(0, 1), steps(0, 2)];
  const [gr, gg, gb] = [steps(1, 0), steps(1, 1), steps(1, 2)];
  const [br, bg, bb] = [steps(2, 0), steps(2, 1), steps(2, 2)];
  // Colours outside of sRGB lie below 0 or above 1: the table goes on there with its ends.
  const all = [rr, rg, rb, gr, gg, gb, br, bg, bb];
  const below = Math.ceil(all.reduce((sum, table) => sum - Math.min(...table), 0));
  const above = Math.ceil(all.reduce((sum, table) => sum + Math.max(...table), 0));
  const values = Uint8Array.from({ length: below + above + 1 }, (_, at) =>
    Math.round(255 * lightToSrgb(Math.min(1, Math.max(0, (at - below) / STEPS)))),
  );
  return (pixels) => {
    for (let at = 0; at < pixels.length; at += 3) {
      const red = pixels[at]!;
      const green = pixels[at + 1]!;
      const blue = pixels[at + 2]!;
      pixels[at] = values[below + rr[red]! + rg[green]! + rb[blue]!]!;
      pixels[at + 1] = values[below + gr[red]! + gg[green]! + gb[blue]!]!;
      pixels[at + 2] = values[below + br[red]! + bg[green]! + bb[blue]!]!;
    }
  };
}

function lightToSrgb(x: number): number {
  return x <= srgbToLight(0.04045) ? x * 12.92 : 1.055 * x ** (1 / 2.4) - 0.055;
}

/** The inverse of the matrix whose columns are the primaries, as rows. */
function inverted([r, g, b]: MatrixProfile["primaries"]): readonly (readonly number[])[] {
  const cross = (p: readonly number[], q: readonly number[]): readonly number[] => [
    p[1]! * q[2]! - p[2]! * q[1]!,
    p[2]! * q[0]! - p[0]! * q[2]!,
    p[0]! * q[1]! - p[1]! * q[0]!,
  ];
  const rows = [cross(g, b), cross(b, r), cross(r, g)];
  const determinant = rows[0]!.reduce((sum, value, at) => sum + value * r[at]!, 0);
  return rows.map((row) => row.map((value) => value / determinant));
}
