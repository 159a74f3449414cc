import sharp from "sharp";
import type { Format } from "./sniff.js";

/** The name that libvips has for each format; bitmaps are read here. */
const LIBVIPS: Readonly<Record<Format, "jpeg" | "png" | "gif" | "webp" | "tiff" | "heif" | null>> = {
  jpeg: "jpeg",
  png: "png",
  webp: "webp",
  avif: "heif",
  gif: "gif",
  tiff: "tiff",
  bmp: null,
};

/** Which formats the libvips of this machine decodes, and which it lacks: a system library may be built without some. */
export function decodableFormats(): { readonly present: readonly Format[]; readonly absent: readonly Format[] } {
  const formats = Object.entries(LIBVIPS) as [Format, (typeof LIBVIPS)[Format]][];
  const isPresent = ([, name]: (typeof formats)[number]): boolean => name === null || sharp.format[name].input.buffer;
  return {
    present: formats.filter(isPresent).map(([format]) => format),
    absent: formats.filter((format) => !isPresent(format)).map(([format]) => format),
  };
}
