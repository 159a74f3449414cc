import type { ImageHeader } from "../../schemas/decode-plan.js";
import { corrupt, type ByteReader } from "./byte-reader.js";
import { exifOrientation } from "./exif-orientation.js";

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;
/** DHT, JPG and DAC share the range of the start-of-frame markers without being any */
const NOT_FRAMES = new Set([0xc4, 0xc8, 0xcc]);

export function readJpegHeader(reader: ByteReader): ImageHeader {
  return readFrame(reader).header;
}

/** Walks the markers up to the frame header, which stands at byte `at`. Source: ITU-T T.81, annex B. */
function readFrame(reader: ByteReader): { header: ImageHeader; at: number } {
  let orientation = 1;
  for (let at = 2; ;) {
    if (reader.u8(at) !== 0xff) throw corrupt("jpeg", `no marker at byte ${at}`);
    const marker = reader.u8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === SOI || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2;
      continue;
    }
    if (marker === SOS || marker === EOI) throw corrupt("jpeg", "no frame header before the pixels");
    const length = reader.u16(at + 2);
    if (length < 2) throw corrupt("jpeg", `a segment of ${length} bytes at byte ${at}`);
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker)) {
      const components = reader.u8(at + 9);
      const header = {
        format: "jpeg",
        width: reader.u16(at + 7),
        height: reader.u16(at + 5),
        frames: 1,
        colourSpace: components === 1 ? "b-w" : components === 4 ? "cmyk" : "srgb",
        bitsPerChannel: reader.u8(at + 4),
        orientation,
      };
      return { header, at };
    }
    if (marker === APP1 && length >= 16 && reader.text(at + 4, 6) === "Exif\0\0") {
      orientation = exifOrientation(reader, at + 10, at + 2 + length);
    }
    at += 2 + length;
  }
}

/**
 * Whether the end-of-image marker is there. In entropy-coded bytes 0xff is always escaped, so after the frame header
 * the marker occurs only at an image's end (or in what cameras append after it).
 */
export function isWholeJpeg(reader: ByteReader): boolean {
  const { bytes } = reader;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.lastIndexOf(END_OF_IMAGE) > readFrame(reader).at;
}
const END_OF_IMAGE = Uint8Array.of(0xff, EOI);
