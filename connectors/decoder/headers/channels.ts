/** Rec. 601 luma in fixed point, as Pillow's convert("L"); torchvision's, OpenCV's and TensorFlow's differ by at most 1. */
function lumaOf(red: number, green: number, blue: number): number {
  return (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16;
}

/** Brings RGB pixels (u8, interleaved) to the channels that the teacher takes. */
export function toChannels(rgb: Uint8Array, to: 1 | 3): Uint8Array {
  if (to === 3) return rgb;
  const out = new Uint8Array(rgb.length / 3);
  for (let at = 0, read = 0; at < out.length; at++, read += 3)
    out[at] = lumaOf(rgb[read]!, rgb[read + 1]!, rgb[read + 2]!);
  return out;
}

/** RGB whose three channels are their grey, in place. */
export function greyed(rgb: Uint8Array): Uint8Array {
  for (let at = 0; at < rgb.length; at += 3) {
    const grey = lumaOf(rgb[at]!, rgb[at + 1]!, rgb[at + 2]!);
    rgb[at] = grey;
    rgb[at + 1] = grey;
    rgb[at + 2] = grey;
  }
  return rgb;
}

/** Grey, one value a pixel, as RGB. */
export function repeatGrey(grey: Uint8Array, rgb = new Uint8Array(grey.length * 3)): Uint8Array {
  for (let at = 0, to = 0; at < grey.length; at++, to += 3) {
    const value = grey[at]!;
    rgb[to] = value;
    rgb[to + 1] = value;
    rgb[to + 2] = value;
  }
  return rgb;
}

/** c * a / 255, rounded: of whole numbers up to 255 */
export function share(c: number, a: number): number {
  const product = c * a + 128;
  return ((product >> 8) + product) >> 8;
}
