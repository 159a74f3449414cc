/**
 * Brings decoded pixels (u8, interleaved sRGB) to the channels that the teacher takes: grey is repeated, colour becomes
 * Rec. 709 luma, round(0.2126 R + 0.7152 G + 0.0722 B). libvips' own grey is the luma of *linear* light: another picture.
 */
export function toChannels(pixels: Uint8Array, from: number, to: 1 | 3): Uint8Array {
  if (from === to) return pixels;
  const count = pixels.length / from;
  if (to === 3) {
    const out = new Uint8Array(count * 3);
    for (let at = 0, write = 0; at < count; at++, write += 3) out.fill(pixels[at * from]!, write, write + 3);
    return out;
  }
  const out = new Uint8Array(count);
  for (let at = 0, read = 0; at < count; at++, read += from) {
    out[at] = (pixels[read]! * 2126 + pixels[read + 1]! * 7152 + pixels[read + 2]! * 722 + 5000) / 10_000;
  }
  return out;
}
