import { counted } from "../../../schemas/counted.js";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { SluiceError } from "../../../schemas/errors.js";
import { corrupt, type ByteReader } from "./byte-reader.js";
import { exifOrientation, xmpOrientation } from "./exif-orientation.js";

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;
const APP2 = 0xe2;
const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const ICC = "ICC_PROFILE\0";
/** DHT, JPG and DAC share the range of the start-of-frame markers without being any */
const NOT_FRAMES = new Set([0xc4, 0xc8, 0xcc]);

interface Segment {
  readonly marker: number;
  /** Where its content begins and ends */
  readonly start: number;
  readonly end: number;
}

/** The segments up to the first scan, that one included. Source: ITU-T T.81, annex B. */
function* segmentsOf(reader: ByteReader): Generator<Segment> {
  for (let at = 2; ;) {
    // Some cameras leave bytes between segments; decoders pass over them.
    while (reader.u8(at) !== 0xff) at += 1;
    const marker = reader.u8(at + 1);
    if (marker === EOI) throw corrupt("jpeg", "the end of the image before its pixels");
    if (marker === 0xff) {
      at += 1;
    } else if (marker === SOI || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2;
    } else {
      const length = reader.u16(at + 2);
      if (length < 2) throw corrupt("jpeg", `a segment of ${counted(length, "byte")} at byte ${at}`);
      const end = at + 2 + length;
      yield { marker, start: at + 4, end };
      if (marker === SOS) return;
      at = end;
    }
  }
}

/** Reads the frame header, EXIF orientation and colour profile. */
export function readJpegHeader(reader: ByteReader): ImageHeader {
  let frame: number | null = null;
  let fromExif: number | null = null;
  let fromXmp: number | null = null;
  const profile = new Map<number, Uint8Array>();
  for (const { marker, start, end } of segmentsOf(reader)) {
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker)) frame = start;
    if (marker === APP1 && end - start >= 14 && reader.text(start, EXIF.length) === EXIF) {
      // A second block goes on with the first, or is another picture's.
      fromExif ??= exifOrientation(reader, start, end);
    }
    if (marker === APP1 && end - start > XMP.length && reader.text(start, XMP.length) === XMP) {
      fromXmp ??= xmpOrientation(Buffer.from(reader.bytes.subarray(start, end)).toString("latin1"));
    }
    if (marker === APP2 && end - start > 14 && reader.text(start, ICC.length) === ICC) {
      // Long profiles are split; each part says which it is, from 1.
      profile.set(reader.u8(start + ICC.length), reader.bytes.subarray(start + ICC.length + 2, end));
    }
  }
  if (frame === null) throw corrupt("jpeg", "no frame header before the pixels");
  const components = reader.u8(frame + 5);
  const bitsPerChannel = reader.u8(frame);
  if (bitsPerChannel !== 8) {
    throw new SluiceError(
      "E_IMAGE_FORMAT",
      `Expected a JPEG of 8 bits a channel, found ${bitsPerChannel}, which Python's libraries do not read either. Convert it to PNG, then ingest it.`,
    );
  }
  // ITU-T T.81, B.2.5: a marker behind the first scan says it. No library reads that.
  if (reader.u16(frame + 1) === 0)
    throw corrupt("jpeg", "no height in its frame header, which is said behind the pixels (DNL)");
  return {
    format: "jpeg",
    width: reader.u16(frame + 3),
    height: reader.u16(frame + 1),
    frames: 1,
    colourSpace: components === 1 ? "b-w" : components === 4 ? "cmyk" : "srgb",
    bitsPerChannel,
    orientation: fromExif ?? fromXmp ?? 1,
    colourProfile: joined(profile),
  };
}

function joined(parts: ReadonlyMap<number, Uint8Array>): Uint8Array | null {
  if (parts.size === 0) return null;
  return Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part));
}

/**
 * Whether the end-of-image marker is there. In entropy-coded bytes 0xff is always escaped, so after the start of the
 * first scan the marker occurs only at an image's end (or in what cameras append after it).
 */
export function isWholeJpeg(reader: ByteReader): boolean {
  const { bytes } = reader;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let scan = 0;
  for (const { start } of segmentsOf(reader)) scan = start;
  return buffer.lastIndexOf(END_OF_IMAGE) > scan;
}
const END_OF_IMAGE = Uint8Array.of(0xff, EOI);
