import type { SeededRandom } from "./seeded-random.js";

/** How far a training image may be moved each time it is seen; each amount is drawn uniformly from both sides of nothing. */
export interface Augmentation {
  /** Greatest turn, degrees */
  readonly rotateDegrees: number;
  /** Greatest change of size, as a share: 0.2 is 80 % to 120 % */
  readonly scale: number;
  /** Greatest shift, as a share of the side */
  readonly shift: number;
  /** Greatest slant: 0.3 moves the top edge by 0.15 of the height against the middle */
  readonly shear: number;
  /** Of images in colour, greatest change of each channel for itself: 0.3 is 70 % to 130 % of its contrast, and as large a share of 128 up or down */
  readonly tint: number;
}

/** u8 images of one size, [height x width x channels] each. */
export interface ImageShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/**
 * Writes a turned, scaled, slanted, shifted and (in colour) tinted copy of image `row` of `source` as image `to` of `target` (bilinear;
 * outside the image is black).
 */
export function augmentInto(
  source: Uint8Array,
  row: number,
  target: Uint8Array,
  to: number,
  shape: ImageShape,
  augmentation: Augmentation,
  random: SeededRandom,
): void {
  const { width, height, channels } = shape;
  const size = width * height * channels;
  const angle = (random.between(-1, 1) * augmentation.rotateDegrees * Math.PI) / 180;
  const scale = 1 + random.between(-1, 1) * augmentation.scale;
  const shear = random.between(-1, 1) * augmentation.shear;
  const shiftX = random.between(-1, 1) * augmentation.shift * width;
  const shiftY = random.between(-1, 1) * augmentation.shift * height;
  const cos = Math.cos(angle) / scale;
  const sin = Math.sin(angle) / scale;
  const tints = Array.from({ length: channels === 1 ? 0 : channels }, () => ({
    gain: 1 + random.between(-1, 1) * augmentation.tint,
    lift: 128 * random.between(-1, 1) * augmentation.tint,
  }));
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  let at = to * size;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Where this pixel comes from: the movement undone, about the centre.
      const dx = x - centreX - shiftX;
      const dy = y - centreY - shiftY;
      const fromX = cos * dx + sin * dy + shear * dy + centreX;
      const fromY = cos * dy - sin * dx + centreY;
      for (let channel = 0; channel < channels; channel++) {
        const value = bilinear(source, row * size + channel, shape, fromX, fromY);
        const tint = tints[channel];
        target[at++] = tint === undefined ? value : tinted(value, tint);
      }
    }
  }
}

function tinted(value: number, { gain, lift }: { readonly gain: number; readonly lift: number }): number {
  return Math.max(0, Math.min(255, Math.round((value - 128) * gain + 128 + lift)));
}

/** `first` is the index of the channel's value at the image's top left. */
function bilinear(source: Uint8Array, first: number, shape: ImageShape, x: number, y: number): number {
  const { width, height, channels } = shape;
  const left = Math.floor(x);
  const top = Math.floor(y);
  if (left < -1 || top < -1 || left >= width || top >= height) return 0;
  const right = x - left;
  const below = y - top;
  const row = first + top * width * channels;
  const column = left * channels;
  const hasLeft = left >= 0;
  const hasRight = left + 1 < width;
  let sum = 0;
  if (top >= 0) {
    if (hasLeft) sum += (1 - below) * (1 - right) * source[row + column]!;
    if (hasRight) sum += (1 - below) * right * source[row + column + channels]!;
  }
  if (top + 1 < height) {
    const next = row + width * channels;
    if (hasLeft) sum += below * (1 - right) * source[next + column]!;
    if (hasRight) sum += below * right * source[next + column + channels]!;
  }
  return Math.round(sum);
}
