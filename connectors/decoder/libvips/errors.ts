import { messageOf, type SluiceError } from "../../../schemas/errors.js";
import { corrupt } from "../headers/byte-reader.js";

/** Warnings of libjpeg, libpng and libtiff about files whose pixels are all right. */
const HARMLESS =
  /extraneous bytes before marker|doesn't match SamplesPerPixel|Invalid SOS parameters for sequential|iCCP|sRGB|gAMA|cHRM|tEXt|zTXt|iTXt|tIME|pHYs|sBIT|hIST|oFFs|eXIf|Unknown field|unknown (EXIF|tag)|ICC profile/i;

/** What sharp and libvips say around the warnings themselves */
const AROUND = /^(Warning treated as error due to failOn setting|error in tile \d+ x \d+)$/;

/** What libvips says of a file that is whole: its content is at fault. */
export function refusalOfLibvips(error: unknown, format: string): SluiceError {
  return corrupt(
    format,
    messageOf(error)
      .trim()
      .replace(/\s*\n\s*/g, "; "),
    error,
  );
}

/** Whether libvips only passed on warnings that say nothing against the pixels. */
export function isHarmless(error: unknown): boolean {
  const lines = messageOf(error)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.length > 0 && !AROUND.test(line));
  return lines.length > 0 && lines.every((line) => HARMLESS.test(line));
}
