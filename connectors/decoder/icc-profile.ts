/** Where the sRGB primaries lie in an ICC profile: XYZ, adapted to D50. Source: IEC 61966-2-1, ICC.1:2022 annex E. */
const PRIMARIES: Readonly<Record<string, readonly [number, number, number]>> = {
  rXYZ: [0.4361, 0.2225, 0.0139],
  gXYZ: [0.3851, 0.7169, 0.0971],
  bXYZ: [0.1431, 0.0606, 0.7141],
};
/** Well below what moves an 8-bit value, well above how profiles round. */
const PRIMARY_TOLERANCE = 0.001;
const CURVE_TOLERANCE = 0.001;
const CURVES = ["rTRC", "gTRC", "bTRC"];
const CHECKED_AT = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9];

/** For ImageHeader: what an embedded profile asks for. */
export function profileKind(profile: Uint8Array): "srgb" | "other" {
  return isSrgbProfile(profile) ? "srgb" : "other";
}

/**
 * Whether a profile says nothing but sRGB: most profiles that photographs carry do, and converting by them leaves every
 * pixel as it is, at more than the cost of decoding. Profiles with look-up tables are never taken for sRGB. Never throws.
 */
export function isSrgbProfile(profile: Uint8Array): boolean {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.length);
  try {
    if (text(view, 16) !== "RGB " || text(view, 20) !== "XYZ ") return false;
    const tags = new Map<string, number>();
    const count = view.getUint32(128);
    for (let tag = 0; tag < Math.min(count, 100); tag++) {
      tags.set(text(view, 132 + tag * 12), view.getUint32(136 + tag * 12));
    }
    if (tags.has("A2B0")) return false;
    const primaries = Object.entries(PRIMARIES).every(([name, expected]) =>
      expected.every((value, at) => {
        const found = view.getInt32(offsetOf(tags, name) + 8 + at * 4) / 65536;
        return Math.abs(found - value) <= PRIMARY_TOLERANCE;
      }),
    );
    return (
      primaries &&
      CURVES.every((name) => {
        const curve = offsetOf(tags, name);
        return CHECKED_AT.every((x) => Math.abs(curveAt(view, curve, x) - srgbToLinear(x)) <= CURVE_TOLERANCE);
      })
    );
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function text(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

function offsetOf(tags: ReadonlyMap<string, number>, name: string): number {
  const offset = tags.get(name);
  if (offset === undefined) throw new RangeError(`no tag ${name}`);
  return offset;
}

function srgbToLinear(x: number): number {
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

/** A curve of type `curv` (a table or one gamma) or `para` (types 0, 3 and 4), at x in 0..1. */
function curveAt(view: DataView, at: number, x: number): number {
  const kind = text(view, at);
  if (kind === "curv") {
    const count = view.getUint32(at + 8);
    if (count === 0) return x;
    const entry = (index: number): number => view.getUint16(at + 12 + index * 2);
    if (count === 1) return x ** (entry(0) / 256);
    const place = x * (count - 1);
    const below = Math.min(Math.floor(place), count - 2);
    return (entry(below) + (entry(below + 1) - entry(below)) * (place - below)) / 65535;
  }
  if (kind !== "para") return NaN;
  const parameter = (index: number): number => view.getInt32(at + 12 + index * 4) / 65536;
  const type = view.getUint16(at + 8);
  const gamma = parameter(0);
  if (type === 0) return x ** gamma;
  if (type !== 3 && type !== 4) return NaN;
  const [a, b, c, d] = [parameter(1), parameter(2), parameter(3), parameter(4)];
  const [e, f] = type === 4 ? [parameter(5), parameter(6)] : [0, 0];
  return x >= d ? (a * x + b) ** gamma + e : c * x + f;
}
