import { counted } from "../../../schemas/counted.js";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { SluiceError } from "../../../schemas/errors.js";
import { corrupt, type ByteReader } from "./byte-reader.js";
import { TiffFile, type Directory } from "./tiff-directory.js";

const TAG = {
  subfileType: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  orientation: 274,
  samples: 277,
  planar: 284,
  subDirectories: 330,
  extraSamples: 338,
  sampleFormat: 339,
  profile: 34675,
  dngVersion: 50706,
};
/** Of a directory: it is a smaller version of another, or a mask of one. */
const REDUCED = 1;
const MASK = 4;
/** PhotometricInterpretation: what a camera's sensor saw */
const SENSOR = new Set([32803, 34892]);
/** Compressions of camera makers: Sony, Nikon, Kodak, Epson, Pentax, lossy DNG */
const SENSOR_PACKINGS = new Set([32767, 34713, 65000, 32769, 65535, 34892]);
const PHOTOMETRIC: Readonly<Record<number, ImageHeader["colourSpace"]>> = {
  0: "b-w",
  1: "b-w",
  2: "srgb",
  3: "srgb",
  5: "cmyk",
  6: "srgb",
};
/** Packings that the decoder lacks */
const OTHER_PACKINGS: Readonly<Record<number, string>> = {
  33003: "JPEG 2000",
  33005: "JPEG 2000",
  34661: "JBIG",
  34712: "JPEG 2000",
  34887: "LERC",
  34925: "LZMA",
  50000: "Zstandard",
  50001: "WebP",
  50002: "JPEG XL",
  52546: "JPEG XL",
};
const UNSIGNED = 1;
const JPEG = 7;
/** Directories looked at: a chain may go in circles */
const MOST_DIRECTORIES = 10_000;

/**
 * Reads the first directory of a TIFF, and how many pages there are. Refuses (E_IMAGE_FORMAT, E_IMAGE_DEPTH) what would come out as
 * another picture: camera raw, whose first directory is a thumbnail, and values that no one scale fits. Sources: TIFF 6.0; DNG 1.7.
 */
export function readTiffHeader(reader: ByteReader): ImageHeader {
  const file = new TiffFile(reader);
  const [first, ...others] = file.chain(MOST_DIRECTORIES);
  if (first === undefined) throw corrupt("tiff", "no directory");
  refuseCameraRaw(file, first, others);
  const one = (tag: number, otherwise: number): number => file.numbers(first, tag)[0] ?? otherwise;
  const packing = OTHER_PACKINGS[one(TAG.compression, 1)];
  if (packing !== undefined) throw refused(`pixels packed by ${packing}`, "Pack it as LZW, Deflate or JPEG");
  const samples = one(TAG.samples, 1);
  const photometric = one(TAG.photometric, 1);
  const colourSpace = PHOTOMETRIC[photometric];
  if (colourSpace === undefined) {
    throw refused(`colours of kind ${photometric}${photometric === 8 || photometric === 9 ? " (Lab)" : ""}`);
  }
  // Its samples may stand for two columns and rows, or for one where the writer left that unsaid: readers differ.
  if (photometric === 6 && one(TAG.compression, 1) !== JPEG) throw refused("YCbCr that is not packed as JPEG");
  const bits = file.numbers(first, TAG.bits);
  refuseValues(file.numbers(first, TAG.sampleFormat), bits);
  const colours = { "b-w": 1, srgb: photometric === 3 ? 1 : 3, cmyk: 4 }[colourSpace as "b-w" | "srgb" | "cmyk"];
  if (samples < colours)
    throw corrupt("tiff", `${counted(samples, "sample")} a pixel where its colours take ${colours}`);
  const extra = file.numbers(first, TAG.extraSamples)[0] ?? 0;
  const profile = file.bytes(first, TAG.profile);
  const orientation = one(TAG.orientation, 1);
  const pages = others.filter((each) => ((file.numbers(each, TAG.subfileType)[0] ?? 0) & (REDUCED | MASK)) === 0);
  return {
    format: "tiff",
    width: one(TAG.width, 0),
    height: one(TAG.height, 0),
    frames: 1 + pages.length,
    colourSpace,
    bitsPerChannel: Math.max(1, ...bits),
    orientation: orientation >= 1 && orientation <= 8 ? orientation : 1,
    colourProfile: profile,
    ...(samples === colours ? {} : { extraChannels: extra === 1 || extra === 2 ? "alpha" : "other" }),
  };
}

function refuseCameraRaw(file: TiffFile, first: Directory, others: readonly Directory[]): void {
  const below = file.numbers(first, TAG.subDirectories).flatMap((at) => file.directoryAt(at) ?? []);
  const sees = (each: Directory): boolean =>
    SENSOR.has(file.numbers(each, TAG.photometric)[0] ?? -1) ||
    SENSOR_PACKINGS.has(file.numbers(each, TAG.compression)[0] ?? -1);
  const isReduced = ((file.numbers(first, TAG.subfileType)[0] ?? 0) & REDUCED) !== 0;
  const isRaw =
    first.fields.has(TAG.dngVersion) ||
    file.isCanonRaw ||
    [first, ...others, ...below].some(sees) ||
    (isReduced && below.length > 0);
  if (!isRaw) return;
  throw new SluiceError(
    "E_IMAGE_FORMAT",
    "Expected a picture, found camera raw: the file's own picture is a thumbnail of what the sensor saw. Develop it to JPEG, PNG or TIFF, then ingest that.",
  );
}

/** Numbers with a sign, with a point, of more than 16 bits or packed in 12: what is black and white in them is not said. */
function refuseValues(formats: readonly number[], bits: readonly number[]): void {
  const format = formats.find((each) => each !== UNSIGNED && each !== 4);
  const kind = { 2: "signed numbers", 3: "floating-point numbers" }[format ?? 0];
  const odd = bits.find((each) => ![1, 2, 4, 8, 16].includes(each));
  if (format === undefined && odd === undefined) return;
  throw new SluiceError(
    "E_IMAGE_DEPTH",
    `Expected a TIFF of whole numbers of 1, 2, 4, 8 or 16 bits, found ${kind ?? `${odd ?? "other"} bits a channel`}, of which no one knows what is black and what is white. Convert it to 8 bits, then ingest it.`,
  );
}

function refused(found: string, advice = "Convert it to RGB"): SluiceError {
  return new SluiceError(
    "E_IMAGE_FORMAT",
    `Expected a TIFF of grey, RGB, palette, YCbCr or CMYK, found ${found}. ${advice}, then ingest it.`,
  );
}
