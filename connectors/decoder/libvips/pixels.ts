import sharp, { type SharpOptions } from "sharp";
import type { DecodePlan, ImageHeader } from "../../../schemas/decode-plan.js";
import { countText } from "../../../schemas/counted.js";
import { messageOf, SluiceError } from "../../../schemas/errors.js";
import type { ImageNote } from "../../../schemas/image-notes.js";
import { asStored, storedPicture } from "../headers/avif-as-stored.js";
import { ByteReader, corrupt } from "../headers/byte-reader.js";
import { share } from "../headers/channels.js";
import { fillScreen } from "../headers/gif-screen.js";
import { codeBehind, withColours, withFullColours } from "../headers/halved-colours.js";
import { hasHalvedColours } from "../headers/iso-media-end.js";
import { isHarmless, refusalOfLibvips } from "./errors.js";
import type { StoredPixels } from "./stored-pixels.js";
import { conversionOf } from "./to-srgb.js";

/** The whole image as libvips decodes it: nothing is scaled or turned there. Throws E_IMAGE_CORRUPT, E_IMAGE_CHROMA. */
export async function decodeByLibvips(file: Uint8Array, header: ImageHeader, plan: DecodePlan): Promise<StoredPixels> {
  if (header.format !== "avif") {
    const found = await decodeWhole(file, header, plan);
    const colours = coloursOf(found, header, plan, found.data);
    if (header.format === "gif") fillScreen(file, colours.pixels, found);
    return { width: found.width, height: found.height, ...colours };
  }
  const bytes = storedPicture(new ByteReader(file, "avif"))?.bytes ?? file;
  const found =
    header.colourSpace === "b-w" ? await decodeWhole(bytes, header, plan) : await decodeAvif(bytes, header, plan);
  return { width: found.width, height: found.height, ...coloursOf(found, header, plan, found.data) };
}

async function decodeWhole(bytes: Uint8Array, header: ImageHeader, plan: DecodePlan): Promise<Decoded> {
  // The policies have judged the header; a file that turns out larger than it is refused when opened.
  const limitInputPixels = Math.max(1, header.width * header.height);
  let found: Decoded;
  try {
    found = await decode(bytes, header, plan, { limitInputPixels, failOn: "warning" });
  } catch (error) {
    if (messageOf(error).includes("exceeds pixel limit")) throw largerThanSaid(header, error);
    if (!isHarmless(error)) throw refusalOfLibvips(error, header.format);
    try {
      found = await decode(bytes, header, plan, { limitInputPixels, failOn: "error" });
    } catch (second) {
      throw refusalOfLibvips(second, header.format);
    }
  }
  const { width, height } = found;
  if (width !== header.width || height !== header.height) {
    throw corrupt(header.format, `${width} x ${height} px where the header promised another size`);
  }
  return found;
}

/**
 * libheif repeats each colour that an AVIF stores at half the size over the pixels that share it, where Python's decoder goes over gradually; and it rounds otherwise. So
 * the picture is decoded as it is stored, and made RGB here. Throws E_IMAGE_CHROMA where colours at half the size cannot be: other pixels than Python's are never given.
 */
async function decodeAvif(bytes: Uint8Array, header: ImageHeader, plan: DecodePlan): Promise<Decoded> {
  const isHalved = hasHalvedColours(bytes);
  const plain = (): Promise<Decoded> => decodeWhole(bytes, header, plan);
  if (isConvertedByLibvips(header, plan)) {
    if (!isHalved) return plain();
    throw otherColours("a profile that takes a colour management system, which the teacher's card asks for");
  }
  const told = asStored(new ByteReader(bytes, "avif"));
  if (told === null) {
    if (!isHalved) return plain();
    throw otherColours("boxes that say in two ways how colours become RGB, or more than one picture");
  }
  const found = await decodeWhole(told.bytes, header, plan);
  const stored = { ...found, channels: found.channels === 4 ? 4 : 3 } as const;
  if (isHalved && told.code !== null) {
    const data = withFullColours(stored, told.code);
    if (data !== null) return { ...found, data };
    throw otherColours(`matrix ${told.code.matrix}, or colours that are stored otherwise`);
  }
  // Nothing else shows whether the decoder has heeded what it was told: so its own RGB is compared.
  const own = await plain();
  const code = codeBehind(own.data, stored, told.code);
  if (code !== null && !isHalved) return { ...found, data: withColours(stored, code) };
  if (!isHalved) return own;
  const data = code === null ? null : withFullColours(stored, code);
  if (data !== null) return { ...found, data };
  throw otherColours("a matrix that is not known here, or colours that are stored otherwise");
}

function otherColours(found: string): SluiceError {
  return new SluiceError(
    "E_IMAGE_CHROMA",
    `Expected an AVIF with colours at half size of which the pixels that Python makes are known, found ${found}. Convert it to PNG or WebP, then ingest that.`,
  );
}

/** Of what libvips calls its pixel limit: the policies have accepted the size that the header says. */
function largerThanSaid({ format, width, height }: ImageHeader, cause: unknown): SluiceError {
  return corrupt(
    format,
    `a picture of more pixels than the ${width} x ${height} = ${countText(width * height)} that its header announces`,
    cause,
  );
}

interface Decoded {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

async function decode(
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  options: SharpOptions,
): Promise<Decoded> {
  const { colourSpace, colourProfile } = header;
  const isPrint = colourSpace === "cmyk";
  const converts = colourProfile !== null && (isPrint || isConvertedByLibvips(header, plan));
  const image = sharp(bytes, { ...options, ignoreIcc: !converts || !isPrint });
  if (converts) image.withIccProfile("srgb");
  else if (isPrint) image.pipelineColourspace("cmyk").toColourspace("cmyk");
  // sharp gives of grey one channel and no more: where there is another, both are had as RGB.
  else if (colourSpace === "b-w" && header.extraChannels === undefined) image.toColourspace("b-w");
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

/** Whether the card asks for colours of sRGB, and the profile is one that needs a colour management system. */
export function isConvertedByLibvips({ colourProfile }: ImageHeader, plan: DecodePlan): boolean {
  return plan.colourProfile === "convert" && conversionOf(colourProfile) === "libvips";
}

/** The grey or RGB of what libvips gave: printing colours mixed, what is transparent on black, further channels left out. */
function coloursOf(
  { channels }: Decoded,
  header: ImageHeader,
  plan: DecodePlan,
  data: Uint8Array,
): Pick<StoredPixels, "pixels" | "channels" | "notes"> {
  if (header.colourSpace === "cmyk" && channels >= 4)
    return { pixels: fromInks(data, channels), channels: 3, notes: [] };
  const colours = channels >= 3 ? 3 : 1;
  if (channels === colours) return { pixels: data, channels: colours, notes: [] };
  const alpha = header.extraChannels ?? "alpha";
  if (alpha === "other")
    return { pixels: firstOf(data, channels, colours), channels: colours, notes: ["extra-channels"] };
  if (plan.alpha === "drop") return { pixels: firstOf(data, channels, colours), channels: colours, notes: [] };
  const notes: ImageNote[] = [];
  const pixels = new Uint8Array((data.length / channels) * colours);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const opaque = data[from + colours]!;
    if (opaque < 255 && notes.length === 0) notes.push("alpha");
    for (let channel = 0; channel < colours; channel++) pixels[to++] = share(data[from + channel]!, opaque);
  }
  return { pixels, channels: colours, notes };
}

function firstOf(data: Uint8Array, channels: number, colours: number): Uint8Array {
  const pixels = new Uint8Array((data.length / channels) * colours);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    for (let channel = 0; channel < colours; channel++) pixels[to++] = data[from + channel]!;
  }
  return pixels;
}

/** CMYK without a profile: what the black lets through, less each ink's share of it, as Pillow's convert("RGB"). */
function fromInks(data: Uint8Array, channels: number): Uint8Array {
  const pixels = new Uint8Array((data.length / channels) * 3);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const light = 255 - data[from + 3]!;
    for (let ink = 0; ink < 3; ink++) pixels[to++] = light - share(data[from + ink]!, light);
  }
  return pixels;
}
