import { availableParallelism } from "node:os";
import sharp from "sharp";
import type { DecodePlan, ImageHeader } from "../../../schemas/decode-plan.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ImageNote } from "../../../schemas/image-notes.js";
import { decodeBmp } from "../headers/bmp-header.js";
import { ByteReader, truncated } from "../headers/byte-reader.js";
import { greyed, toChannels } from "../headers/channels.js";
import type { DecodedImage, Decoder, Onlooker } from "../decoder.js";
import { isWhole, readImageHeader } from "../headers/image-header.js";
import { withGifEnd } from "../headers/gif-end.js";
import { withEnd } from "../headers/jpeg-end.js";
import { withPngEnd } from "../headers/png-end.js";
import { decodeByLibvips, isConvertedByLibvips } from "./pixels.js";
import { turnedUpright } from "../headers/orientation.js";
import { loadPlainJpeg } from "../jpeg/plain-jpeg.js";
import type { PixelRoom } from "../pixel-room.js";
import { Resampler } from "../resample/resampler.js";
import { isGreyedFirst, isOneSided, pickPixels, scalingOf } from "../scaling.js";
import { decodeSmallPng } from "./small-png.js";
import type { StoredPixels } from "./stored-pixels.js";
import { conversionOf } from "./to-srgb.js";
import { turbojpeg, type JpegDecoder } from "../jpeg/turbojpeg.js";

export interface SharpDecoderOptions {
  /** Images decoded at once; by default the number of cores. More calls wait their turn. */
  readonly concurrency?: number | undefined;
  /** Shared with decoders in other threads. By default only this one's images are bounded */
  readonly room?: PixelRoom | undefined;
  /** The caller's thread does nothing but decode: it waits for libjpeg-turbo, and no other thread is woken */
  readonly ownThread?: boolean;
  /** `auto`: ordinary JPEGs go through libjpeg-turbo where it is here. `off`: libvips decodes them all. */
  readonly turbojpeg?: "auto" | "off" | undefined;
}

/** What decoding one image takes. Native memory and WebAssembly's do not shrink: places are kept, and used again. */
interface Place {
  readonly jpeg: JpegDecoder | null;
  readonly resampler: Resampler;
}

/** Pixels of images in decoding at once, 4 bytes each; a larger image is decoded alone. */
const MOST_PIXELS_TOGETHER = 48_000_000;

/**
 * The decoder: libvips and libjpeg-turbo decode, and every format's pixels are scaled here, as Pillow does it. `name` says which of the
 * two JPEG goes through on this machine. See docs/decisions/005-decoding.md for what was measured.
 */
export function openSharpDecoder(options: SharpDecoderOptions = {}): Decoder {
  // One thread an image: images are decoded side by side. No cache: no image comes twice.
  sharp.concurrency(1);
  sharp.cache(false);
  const turns = new Turns(options.concurrency ?? availableParallelism());
  const turbo = options.turbojpeg === "off" ? null : turbojpeg();
  const name = `sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips})`;
  const { room, ownThread = false } = options;
  const idle: Place[] = [];

  return {
    name: turbo === null ? name : `${name}, ordinary JPEG by ${turbo.name}`,
    header: readImageHeader,
    async decode(bytes, header, plan, onlooker) {
      const pixels = Math.min(header.width * header.height, MOST_PIXELS_TOGETHER);
      await turns.take(pixels);
      room?.take(pixels, MOST_PIXELS_TOGETHER);
      const place = idle.pop() ?? { jpeg: turbo?.open(ownThread) ?? null, resampler: new Resampler() };
      try {
        return await decode(bytes, header, plan, place, onlooker);
      } finally {
        idle.push(place);
        room?.give(pixels);
        turns.give(pixels);
      }
    },
  };
}

/** Images in decoding: so many at once, and so many pixels; first come, first served. */
class Turns {
  readonly #waiting: { readonly pixels: number; readonly begin: () => void }[] = [];
  #images: number;
  #pixels = MOST_PIXELS_TOGETHER;

  constructor(images: number) {
    this.#images = images;
  }

  async take(pixels: number): Promise<void> {
    await new Promise<void>((begin) => {
      this.#waiting.push({ pixels, begin });
      this.#beginNext();
    });
  }

  give(pixels: number): void {
    this.#images += 1;
    this.#pixels += pixels;
    this.#beginNext();
  }

  #beginNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#images === 0 || this.#pixels < next.pixels) return;
      this.#images -= 1;
      this.#pixels -= next.pixels;
      this.#waiting.shift();
      next.begin();
    }
  }
}

async function decode(
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  place: Place,
  onlooker: Onlooker | undefined,
): Promise<DecodedImage> {
  if (isWhole(bytes, header.format)) return decodeWhole(bytes, header, plan, place, onlooker);
  const limit = Math.max(1, header.width * header.height);
  const ended = await withItsEnd(bytes, header.format, limit);
  if (ended === null) throw truncated(header.format, bytes.length);
  try {
    const { pixels, notes } = await decodeWhole(ended, header, plan, place, onlooker);
    return { pixels, notes: [...notes, "no-end"] };
  } catch (error) {
    // With the end put there by us, what the decoder finds fault with is that pixels are missing before it.
    if (isSluiceError(error, "E_IMAGE_CORRUPT")) throw truncated(header.format, bytes.length);
    throw error;
  }
}

/** The bytes with the end mark that they lack; null where more is missing. */
async function withItsEnd(bytes: Uint8Array, format: string, limitInputPixels: number): Promise<Uint8Array | null> {
  if (format === "jpeg") return withEnd(bytes, limitInputPixels);
  if (format === "gif") return withGifEnd(bytes, limitInputPixels);
  return format === "png" ? withPngEnd(bytes) : null;
}

async function decodeWhole(
  bytes: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  { jpeg, resampler }: Place,
  onlooker: Onlooker | undefined,
): Promise<DecodedImage> {
  const loaded =
    jpeg === null || isConvertedByLibvips(header, plan)
      ? null
      : await loadPlainJpeg(jpeg, resampler, bytes, header, plan, onlooker);
  if (loaded?.kind === "scaled") return finished(loaded.pixels, header, plan, []);
  const found = loaded?.stored ?? (await storedPixels(bytes, header, plan));
  onlooker?.(found);
  const stored = isGreyedFirst(plan) && found.channels === 3 ? { ...found, pixels: greyed(found.pixels) } : found;
  // Where a kernel minds, the image is turned first.
  const turns = plan.orientation > 1 && isOneSided(plan.kernel);
  const [image, scaledPlan] = turns ? [upright(stored, plan.orientation), { ...plan, orientation: 1 }] : [stored, plan];
  const [width, height] = turns ? [image.width, image.height] : [header.width, header.height];
  const scaling = scalingOf(width, height, scaledPlan, loaded?.shrink ?? 1);
  const pixels =
    scaling === null
      ? pickPixels(image, scaledPlan)
      : resampler.scaleStored(image, scaling.across, scaling.down, scaling.order);
  return finished(pixels, header, scaledPlan, stored.notes);
}

async function storedPixels(bytes: Uint8Array, header: ImageHeader, plan: DecodePlan): Promise<StoredPixels> {
  if (header.format === "bmp") return decodeBmp(new ByteReader(bytes, "bmp"), plan);
  return decodeSmallPng(bytes, header) ?? (await decodeByLibvips(bytes, header, plan));
}

function upright(stored: StoredPixels, orientation: number): StoredPixels {
  const [width, height] = orientation >= 5 ? [stored.height, stored.width] : [stored.width, stored.height];
  return {
    ...stored,
    width,
    height,
    pixels: turnedUpright(stored.pixels, orientation, width, height, stored.channels),
  };
}

/** Upright, in the colours that the card asks for, black around what does not fill the output. */
function finished(
  stored: Uint8Array,
  header: ImageHeader,
  plan: DecodePlan,
  notes: readonly ImageNote[],
): DecodedImage {
  const { crop, place, output } = plan;
  const pixels = turnedUpright(stored, plan.orientation, crop.width, crop.height, 3);
  const conversion = header.colourSpace === "cmyk" ? "none" : conversionOf(header.colourProfile);
  const said: ImageNote[] = [...notes];
  if (conversion !== "none") said.push(plan.colourProfile === "ignore" ? "profile-ignored" : "profile");
  if (typeof conversion === "function" && plan.colourProfile === "convert") conversion(pixels);
  if (crop.width === output.width && crop.height === output.height) {
    return { pixels: toChannels(pixels, output.channels), notes: said };
  }
  const out = new Uint8Array(output.width * output.height * 3);
  for (let y = 0; y < crop.height; y++) {
    const row = pixels.subarray(y * crop.width * 3, (y + 1) * crop.width * 3);
    out.set(row, ((place.top + y) * output.width + place.left) * 3);
  }
  return { pixels: toChannels(out, output.channels), notes: said };
}
