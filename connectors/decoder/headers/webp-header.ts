import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { corrupt, type ByteReader } from "./byte-reader.js";
import { exifOrientation, xmpOrientation } from "./exif-orientation.js";

const RIFF_HEADER_BYTES = 12;
const ANIMATION_FLAG = 0x02;

/** Reads the canvas, frames and orientation from the RIFF chunks. Source: WebP container specification, RFC 9649. */
export function readWebpHeader(reader: ByteReader): ImageHeader {
  const first = reader.text(RIFF_HEADER_BYTES, 4);
  const at = RIFF_HEADER_BYTES + 8;
  const still = { frames: 1, orientation: 1, colourProfile: null } as const;
  const common = { format: "webp", colourSpace: "srgb", bitsPerChannel: 8 } as const;
  if (first === "VP8 ") {
    if (reader.u24le(at + 3) !== 0x2a019d) throw corrupt("webp", "no start code of a key frame");
    const width = reader.u16(at + 6, true) & 0x3fff;
    return { ...common, width, height: reader.u16(at + 8, true) & 0x3fff, ...still };
  }
  if (first === "VP8L") {
    const bits = reader.u32(at + 1, true);
    return { ...common, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, ...still };
  }
  if (first !== "VP8X") throw corrupt("webp", `a chunk "${first}" in place of the pixels`);
  const animated = (reader.u8(at) & ANIMATION_FLAG) !== 0;
  const { frames, orientation, colourProfile } = walk(reader);
  return {
    ...common,
    width: reader.u24le(at + 4) + 1,
    height: reader.u24le(at + 7) + 1,
    frames: animated ? Math.max(1, frames) : 1,
    orientation,
    colourProfile,
  };
}

function walk(reader: ByteReader): Pick<ImageHeader, "frames" | "orientation" | "colourProfile"> {
  let frames = 0;
  let colourProfile: ImageHeader["colourProfile"] = null;
  let fromExif: number | null = null;
  let fromXmp: number | null = null;
  for (let at = RIFF_HEADER_BYTES; at + 8 <= reader.length;) {
    const kind = reader.text(at, 4);
    const size = reader.u32(at + 4, true);
    if (kind === "ANMF") frames += 1;
    if (kind === "ICCP") colourProfile = reader.bytes.subarray(at + 8, at + 8 + size);
    if (kind === "EXIF") {
      fromExif ??= exifOrientation(reader, at + 8, at + 8 + size);
    }
    if (kind === "XMP ")
      fromXmp ??= xmpOrientation(Buffer.from(reader.bytes.subarray(at + 8, at + 8 + size)).toString("latin1"));
    at += 8 + size + (size & 1);
  }
  return { frames, orientation: fromExif ?? fromXmp ?? 1, colourProfile };
}

/** Whether the file is as long as its RIFF header says. */
export function isWholeWebp(reader: ByteReader): boolean {
  return reader.length >= 8 + reader.u32(4, true);
}
