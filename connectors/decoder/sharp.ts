import { availableParallelism } from "node:os";
import sharp, { type Sharp, type SharpOptions } from "sharp";
import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import { SluiceError } from "../../schemas/errors.js";
import { decodeBmp } from "./bmp.js";
import { ByteReader, corrupt, truncated } from "./byte-reader.js";
import { toChannels } from "./channels.js";
import { conversionOf } from "./to-srgb.js";
import type { DecodedImage, Decoder } from "./decoder.js";
import { isWhole, readImageHeader } from "./image-header.js";
import { decodeSmallPng } from "./small-png.js";
import { isHarmless, refusalOfLibvips } from "./libvips-errors.js";
import { decodePlainJpeg } from "./plain-jpeg.js";
import { turbojpeg, type Turbojpeg } from "./turbojpeg.js";

export interface SharpDecoderOptions {
  /** Images decoded at once; by default the number of cores. More calls wait their turn. */
  readonly concurrency?: number | undefined;
  /** `auto`: ordinary JPEGs go through libjpeg-turbo where it is here. `off`: libvips decodes them all. */
  readonly turbojpeg?: "auto" | "off" | undefined;
}

/** The decoder over libvips, with a short way for ordinary JPEGs; `name` says whether it is taken on this machine. See docs/decisions/005-decoding.md for what was measured. */
export function openSharpDecoder(options: SharpDecoderOptions = {}): Decoder {
  // One thread an image: images are decoded side by side. No cache: no image comes twice.
  sharp.concurrency(1);
  sharp.cache(false);
  const limit = options.concurrency ?? availableParallelism();
  const waiting: (() => void)[] = [];
  let running = 0;
  const jpeg = options.turbojpeg === "off" ? null : turbojpeg();
  const name = `sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips})`;

  return {
    name: jpeg === null ? name : `${name}, ordinary JPEG by ${jpeg.name}`,
    header: readImageHeader,
    async decode(bytes, header, plan) {
      if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
      else running += 1;
      try {
        return await decode(bytes, header, plan, jpeg);
      } finally {
        // The place is handed on, not given up: `running` never exceeds the limit.
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}

async function decode(
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  jpeg: Turbojpeg | null,
): Promise<DecodedImage> {
  if (!isWhole(bytes, header.format)) throw truncated(header.format, bytes.length);
  const small = decodeSmallPng(bytes, header, plan);
  if (small !== null) return { pixels: toChannels(small.pixels, small.channels, plan.output.channels) };
  const plain = jpeg === null ? null : await decodePlainJpeg(jpeg, bytes, header, plan);
  if (plain !== null) return { pixels: toChannels(plain, 3, plan.output.channels) };
  // The policies have judged the header; a file that turns out larger than it is refused when opened.
  const limitInputPixels = Math.max(1, header.width * header.height);
  try {
    return await render(bytes, header, plan, { limitInputPixels, failOn: "warning" });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    if (!isHarmless(error)) throw refusalOfLibvips(error, header.format);
  }
  try {
    return await render(bytes, header, plan, { limitInputPixels, failOn: "error" });
  } catch (error) {
    throw refusalOfLibvips(error, header.format);
  }
}

async function render(
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  options: SharpOptions,
): Promise<DecodedImage> {
  const { output } = plan;
  const conversion = header.colourSpace === "srgb" ? conversionOf(header.colourProfile) : "libvips";
  // Whatever converts the colours of RGB, it does so at the end, to the few pixels that the teacher sees. sharp itself would begin
  // with it, on the whole image, and would leave images of 16 bits in the colours of Display P3.
  const late = header.colourSpace === "srgb";
  const image = pipeline(open(bytes, header, { ...options, ignoreIcc: late }), header, plan);
  if (late && conversion === "libvips") image.withIccProfile("srgb");
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  if (info.width !== output.width || info.height !== output.height) {
    throw corrupt(header.format, `${info.width} x ${info.height} px where the header promised another size`);
  }
  if (typeof conversion === "function" && info.channels === 3) conversion(data);
  return { pixels: toChannels(data, info.channels, output.channels) };
}

function open(bytes: Uint8Array, header: ImageHeader, options: SharpOptions): Sharp {
  if (header.format !== "bmp") return sharp(bytes, options);
  const { width, height } = header;
  return sharp(decodeBmp(new ByteReader(bytes, "bmp")), { raw: { width, height, channels: 3 } });
}

/** Scale, turn upright, crop, place: libvips reads only as much of the image as the crop needs. */
function pipeline(image: Sharp, header: ImageHeader, plan: DecodePlan): Sharp {
  const { scaled, crop, place, output } = plan;
  const turned = header.orientation >= 5;
  const width = turned ? scaled.height : scaled.width;
  const height = turned ? scaled.width : scaled.height;
  if (width !== header.width || height !== header.height) {
    // Taking the whole image as an extract is what keeps sharp from loading it shrunk; no option of its own does.
    if (!plan.shrinkOnLoad) image.extract({ left: 0, top: 0, width: header.width, height: header.height });
    image.resize({ width, height, fit: "fill", kernel: plan.kernel, fastShrinkOnLoad: plan.shrinkOnLoad });
  }
  turnUpright(image, header.orientation);
  if (crop.width !== scaled.width || crop.height !== scaled.height) image.extract(crop);
  if (crop.width !== output.width || crop.height !== output.height) {
    image.extend({
      left: place.left,
      top: place.top,
      right: output.width - crop.width - place.left,
      bottom: output.height - crop.height - place.top,
      background: "black",
    });
  }
  // Grey stays one channel where nothing asks for colour: half the work.
  if (header.colourSpace === "b-w" && header.colourProfile === null) image.toColourspace("b-w");
  return image.flatten({ background: "black" });
}

/** Undoes EXIF orientation. libvips flips (top to bottom), then flops (left to right), then turns clockwise. */
function turnUpright(image: Sharp, orientation: number): void {
  if (orientation === 4 || orientation === 5) image.flip();
  if (orientation === 2 || orientation === 7) image.flop();
  const angle = [0, 0, 0, 180, 0, 90, 90, 90, 270][orientation] ?? 0;
  if (angle !== 0) image.rotate(angle);
}
