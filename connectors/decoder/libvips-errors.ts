import { messageOf, type SluiceError } from "../../schemas/errors.js";
import { corrupt, truncated } from "./byte-reader.js";

/** What libvips and the libraries below it say of a file that ends too early */
const ENDS_EARLY =
  /premature end|truncat|end of (file|stream|image|input)|unexpected eof|not enough data|no more data|read error|outside the file|Invalid input: No 'meta'/i;

/** Warnings of libjpeg, libpng and libtiff about files whose pixels are all right. */
const HARMLESS =
  /extraneous bytes before marker|Invalid SOS parameters for sequential|iCCP|sRGB|gAMA|cHRM|tEXt|zTXt|iTXt|tIME|pHYs|sBIT|hIST|oFFs|eXIf|Unknown field|unknown (EXIF|tag)|ICC profile/i;

/** Turns an error of libvips into E_IMAGE_TRUNCATED or E_IMAGE_CORRUPT. */
export function refusalOfLibvips(error: unknown, format: string, sizeBytes: number): SluiceError {
  const message = messageOf(error);
  return ENDS_EARLY.test(message) ? truncated(format, sizeBytes) : corrupt(format, message.trim(), error);
}

/** Whether libvips only passed on warnings that say nothing against the pixels. */
export function isHarmless(error: unknown): boolean {
  const lines = messageOf(error)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.length > 0);
  return lines.length > 0 && lines.every((line) => HARMLESS.test(line) && !ENDS_EARLY.test(line));
}
