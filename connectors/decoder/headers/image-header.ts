import sharp from "sharp";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { isWholeBmp, readBmpHeader } from "./bmp-header.js";
import { storedPicture } from "./avif-as-stored.js";
import { ByteReader, corrupt, truncated } from "./byte-reader.js";
import { isWholeGif, readGifHeader } from "./gif-header.js";
import { isWholeIsoMedia } from "./iso-media-end.js";
import { isWholeJpeg, readJpegHeader } from "./jpeg-header.js";
import { isWholePng, readPngHeader } from "./png-header.js";
import { refusalOfLibvips } from "../libvips/errors.js";
import { sniff, type Format } from "./sniff.js";
import { isWholeTiff } from "./tiff-directory.js";
import { readTiffHeader } from "./tiff-header.js";
import { isWholeWebp, readWebpHeader } from "./webp-header.js";

/**
 * Reads an image's header. The frequent formats are read here, in a few microseconds; opening a file in libvips takes
 * some 150, and would be paid a second time when decoding. AVIF goes through libvips.
 * Errors: E_IMAGE_EMPTY, E_IMAGE_FORMAT, E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT.
 */
export async function readImageHeader(bytes: Uint8Array): Promise<ImageHeader> {
  const format = formatOf(bytes);
  const reader = new ByteReader(bytes, format);
  switch (format) {
    case "jpeg":
      return readJpegHeader(reader);
    case "png":
      return readPngHeader(reader);
    case "gif":
      return readGifHeader(reader);
    case "webp":
      return readWebpHeader(reader);
    case "bmp":
      return readBmpHeader(reader);
    case "tiff":
      return readTiffHeader(reader);
    case "avif":
      return libvipsHeader(bytes, format);
  }
}

/**
 * Whether the file goes on to where its own structure says that it ends. Checked apart from decoding, which stops
 * reading where the crop ends and would let a short file pass.
 */
export function isWhole(bytes: Uint8Array, format: string): boolean {
  const reader = new ByteReader(bytes, format);
  switch (format) {
    case "jpeg":
      return isWholeJpeg(reader);
    case "png":
      return isWholePng(reader);
    case "gif":
      return isWholeGif(reader);
    case "webp":
      return isWholeWebp(reader);
    case "bmp":
      return isWholeBmp(reader);
    case "tiff":
      return isWholeTiff(reader);
    default:
      return isWholeIsoMedia(reader);
  }
}

function formatOf(bytes: Uint8Array): Format {
  if (bytes.length === 0) {
    throw new SluiceError("E_IMAGE_EMPTY", "Expected an image, found no bytes at all.");
  }
  const found = sniff(bytes);
  if ("format" in found) return found.format;
  const what =
    "refused" in found
      ? `found ${found.refused}: ${found.advice}, then ingest it again.`
      : `found bytes that begin ${Buffer.from(bytes.subarray(0, 8)).toString("hex")}.`;
  throw new SluiceError("E_IMAGE_FORMAT", `Expected JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP, ${what}`);
}

const BITS: Readonly<Record<string, number>> = { uchar: 8, char: 8, ushort: 16, short: 16 };

async function libvipsHeader(bytes: Uint8Array, format: Format): Promise<ImageHeader> {
  try {
    // EXIF inside an AVIF turns nothing: boxes do. Source: ISO/IEC 23008-12, 6.5.10.
    const stored = storedPicture(new ByteReader(bytes, format));
    if (stored === null) throw corrupt(format, "boxes that turn it in a way that no orientation says");
    const found = await sharp(stored.bytes, { limitInputPixels: false, failOn: "truncated" }).metadata();
    return {
      format,
      width: found.width,
      height: found.height,
      frames: stored.frames,
      colourSpace: found.space === "grey16" ? "b-w" : found.space === "rgb16" ? "srgb" : found.space,
      bitsPerChannel: found.bitsPerSample ?? BITS[found.depth] ?? 32,
      orientation: stored.orientation,
      colourProfile: found.icc ?? null,
    };
  } catch (error) {
    if (isSluiceError(error)) throw error;
    throw isWhole(bytes, format) ? refusalOfLibvips(error, format) : truncated(format, bytes.length);
  }
}
