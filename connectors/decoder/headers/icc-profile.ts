/** An ICC profile of an RGB space that is no more than three primaries and three curves. */
export interface MatrixProfile {
  /** XYZ (D50) of the red, green and blue primaries */
  readonly primaries: readonly [Triple, Triple, Triple];
  /** 0..1 as stored to 0..1 of light, one for each channel */
  readonly curves: readonly [Curve, Curve, Curve];
}
export type Triple = readonly [number, number, number];
export type Curve = (x: number) => number;

/** The sRGB primaries, XYZ adapted to D50. Source: IEC 61966-2-1 with Bradford adaptation, as in ICC.1:2022. */
export const SRGB_PRIMARIES: MatrixProfile["primaries"] = [
  [0.4360747, 0.2225045, 0.0139322],
  [0.3850649, 0.7168786, 0.0971045],
  [0.1430804, 0.0606169, 0.7141733],
];

export function srgbToLight(x: number): number {
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

/** Well below what moves an 8-bit value, well above how profiles round. */
const TOLERANCE = 0.001;
const CHECKED_AT = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9];

/** Whether a profile says nothing but sRGB, as that of most photographs does: then it leaves every pixel as it is. */
export function isSrgb({ primaries, curves }: MatrixProfile): boolean {
  const near = (a: number, b: number): boolean => Math.abs(a - b) <= TOLERANCE;
  return (
    primaries.every((primary, channel) => primary.every((value, at) => near(value, SRGB_PRIMARIES[channel]![at]!))) &&
    curves.every((curve) => CHECKED_AT.every((x) => near(curve(x), srgbToLight(x))))
  );
}

/**
 * Reads a matrix profile; null for any other (grey, CMYK, with look-up tables) and for what is no profile. Never throws.
 * Source: ICC.1:2022, clauses 7, 8.3 and 10.
 */
export function parseMatrixProfile(profile: Uint8Array): MatrixProfile | null {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.length);
  try {
    if (text(view, 16) !== "RGB " || text(view, 20) !== "XYZ ") return null;
    const tags = new Map<string, number>();
    const count = view.getUint32(128);
    for (let tag = 0; tag < Math.min(count, 100); tag++) {
      tags.set(text(view, 132 + tag * 12), view.getUint32(136 + tag * 12));
    }
    // A table takes precedence over the matrix.
    if (tags.has("A2B0")) return null;
    return {
      primaries: [
        primaryAt(view, tags.get("rXYZ")),
        primaryAt(view, tags.get("gXYZ")),
        primaryAt(view, tags.get("bXYZ")),
      ],
      curves: [curveAt(view, tags.get("rTRC")), curveAt(view, tags.get("gTRC")), curveAt(view, tags.get("bTRC"))],
    };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function text(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

const fixedPoint = (view: DataView, at: number): number => view.getInt32(at) / 65536;

/** s15Fixed16 triple of a tag of type XYZ */
function primaryAt(view: DataView, at: number | undefined): Triple {
  if (at === undefined) throw new RangeError("no primary");
  return [fixedPoint(view, at + 8), fixedPoint(view, at + 12), fixedPoint(view, at + 16)];
}

/** A curve of type `curv` (a table or one gamma) or `para` (types 0, 3 and 4, those in use). */
function curveAt(view: DataView, at: number | undefined): Curve {
  if (at === undefined) throw new RangeError("no curve");
  const kind = text(view, at);
  if (kind === "curv") return tableAt(view, at);
  const type = view.getUint16(at + 8);
  if (kind !== "para" || ![0, 3, 4].includes(type)) throw new RangeError("a curve of another type");
  const parameter = (index: number): number => fixedPoint(view, at + 12 + index * 4);
  const gamma = parameter(0);
  if (type === 0) return (x) => x ** gamma;
  const [a, b, c, d] = [parameter(1), parameter(2), parameter(3), parameter(4)];
  const [e, f] = type === 4 ? [parameter(5), parameter(6)] : [0, 0];
  return (x) => (x >= d ? (a * x + b) ** gamma + e : c * x + f);
}

function tableAt(view: DataView, at: number): Curve {
  const count = view.getUint32(at + 8);
  if (count === 0) return (x) => x;
  if (count === 1) {
    const gamma = view.getUint16(at + 12) / 256;
    return (x) => x ** gamma;
  }
  if (at + 12 + count * 2 > view.byteLength) throw new RangeError("a table beyond the profile");
  const entry = (index: number): number => view.getUint16(at + 12 + index * 2) / 65535;
  return (x) => {
    const place = x * (count - 1);
    const below = Math.min(Math.floor(place), count - 2);
    return entry(below) + (entry(below + 1) - entry(below)) * (place - below);
  };
}
