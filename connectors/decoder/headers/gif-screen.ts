import { ByteReader } from "./byte-reader.js";
import { firstGifFrame } from "./gif-header.js";

/**
 * Gives the part of a GIF's screen that its first frame leaves out the first of its colours, as Pillow does; libvips leaves it black. Where
 * the frame has a transparent colour, so is the rest, and black. `pixels` is u8, grey or RGB, of the whole screen.
 */
export function fillScreen(
  bytes: Uint8Array,
  pixels: Uint8Array,
  { width, height }: { readonly width: number; readonly height: number },
): void {
  const frame = firstGifFrame(new ByteReader(bytes, "gif"));
  if (frame === null || frame.isTransparent || frame.firstColour === null) return;
  const channels = pixels.length / (width * height);
  const { left, top, right, bottom } = frame;
  if (left === 0 && top === 0 && right >= width && bottom >= height) return;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += channels) {
      if (y >= top && y < bottom && x >= left && x < right) continue;
      pixels.set(frame.firstColour.subarray(0, channels), at);
    }
  }
}
