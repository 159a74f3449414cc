import { GLYPHS, type Point } from "./glyphs.js";
import type { SeededRandom } from "../../operators/training/seeded-random.js";
import { AREA, SIDE } from "./mnist.js";

/**
 * Images that are no digits, drawn so that telling them from digits is not trivial: most have a digit's stroke width, brightness
 * and place. No kind is meant to be read as a digit (no 6 turned upside down, no letter O or I); a scribble can come out like one by chance.
 */
export const DISTRACTOR_KINDS = ["scribble", "glyph", "turned", "spliced", "enlarged", "noise", "texture"] as const;
export type DistractorKind = (typeof DISTRACTOR_KINDS)[number];

/** Gives another unused image of one of these digits: u8, [28 x 28]. */
export type DigitSupply = (digits: readonly number[]) => Uint8Array;

/** u8, [28 x 28] */
export function drawDistractor(kind: DistractorKind, random: SeededRandom, digit: DigitSupply): Uint8Array {
  switch (kind) {
    case "scribble":
      return drawLines(scribble(random), random.between(0.9, 1.7));
    case "glyph":
      return drawLines(jitter(random.pick(GLYPHS), random), random.between(0.9, 1.7));
    case "turned":
      return turned(digit([2, 3, 4, 5, 7]), random);
    case "spliced":
      return spliced(digit([2, 3, 4, 5, 6, 7, 9]), digit([1, 2, 3, 4, 5, 7]), random);
    case "enlarged":
      return enlarged(digit([0, 2, 3, 4, 5, 6, 8, 9]), random);
    case "noise":
      return noise(random);
    case "texture":
      return texture(random);
  }
}

function jitter(glyph: readonly (readonly Point[])[], random: SeededRandom): Point[][] {
  const [width, height] = [random.between(5.5, 8.5), random.between(7.5, 9.5)];
  const [slant, turn] = [random.between(-0.3, 0.3), random.between(-0.2, 0.2)];
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  return glyph.map((line) =>
    line.map(([x0, y0]) => {
      const x = (x0 + random.between(-0.12, 0.12) - slant * y0) * width;
      const y = (y0 + random.between(-0.12, 0.12)) * height;
      return [SIDE / 2 + cos * x - sin * y, SIDE / 2 + sin * x + cos * y] as const;
    }),
  );
}

/** A line that wanders inside the box in which MNIST's digits lie. */
function scribble(random: SeededRandom): Point[][] {
  let [x, y] = [random.between(7, 21), random.between(6, 22)];
  let direction = random.between(0, 2 * Math.PI);
  let bend = random.between(-0.7, 0.7);
  const line: Point[] = [[x, y]];
  const steps = 10 + random.below(18);
  for (let step = 0; step < steps; step++) {
    if (random.next() < 0.2) bend = random.between(-0.9, 0.9);
    direction += bend;
    const next: Point = [x + 2.2 * Math.cos(direction), y + 2.2 * Math.sin(direction)];
    if (next[0] < 5 || next[0] > 23 || next[1] < 4 || next[1] > 24) {
      direction += Math.PI * random.between(0.5, 1);
      continue;
    }
    [x, y] = next;
    line.push([x, y]);
  }
  return [line];
}

/** White lines of a round pen of `radius` px, edges one pixel soft. */
function drawLines(lines: readonly (readonly Point[])[], radius: number): Uint8Array {
  const image = new Uint8Array(AREA);
  for (const line of lines) {
    for (let at = 1; at < line.length; at++) drawSegment(image, line[at - 1]!, line[at]!, radius);
  }
  return image;
}

function drawSegment(image: Uint8Array, [x0, y0]: Point, [x1, y1]: Point, radius: number): void {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const lengthSquared = dx * dx + dy * dy || 1e-9;
  const reach = radius + 1;
  const [left, right] = [
    Math.max(0, Math.floor(Math.min(x0, x1) - reach)),
    Math.min(SIDE, Math.ceil(Math.max(x0, x1) + reach)),
  ];
  const [top, bottom] = [
    Math.max(0, Math.floor(Math.min(y0, y1) - reach)),
    Math.min(SIDE, Math.ceil(Math.max(y0, y1) + reach)),
  ];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const along = Math.min(1, Math.max(0, ((x + 0.5 - x0) * dx + (y + 0.5 - y0) * dy) / lengthSquared));
      const distance = Math.hypot(x + 0.5 - x0 - along * dx, y + 0.5 - y0 - along * dy);
      const value = 255 * Math.min(1, Math.max(0, radius + 0.5 - distance));
      const index = y * SIDE + x;
      if (value > image[index]!) image[index] = value;
    }
  }
}

/** A quarter turn either way; of the digits that are none any more when turned so. */
function turned(digit: Uint8Array, random: SeededRandom): Uint8Array {
  const clockwise = random.next() < 0.5;
  const image = new Uint8Array(AREA);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      image[clockwise ? x * SIDE + (SIDE - 1 - y) : (SIDE - 1 - x) * SIDE + y] = digit[y * SIDE + x]!;
    }
  }
  return image;
}

/** The left half of one digit beside the right half of another, out of step by some rows. */
function spliced(left: Uint8Array, right: Uint8Array, random: SeededRandom): Uint8Array {
  const image = new Uint8Array(AREA);
  const shift = (random.next() < 0.5 ? -1 : 1) * (3 + random.below(5));
  for (let y = 0; y < SIDE; y++) {
    const from = y + shift;
    for (let x = 0; x < SIDE; x++) {
      if (x < SIDE / 2) image[y * SIDE + x] = left[y * SIDE + x]!;
      else if (from >= 0 && from < SIDE) image[y * SIDE + x] = right[from * SIDE + x]!;
    }
  }
  return image;
}

/** A corner of a digit, enlarged 2 to 2.5 times. */
function enlarged(digit: Uint8Array, random: SeededRandom): Uint8Array {
  const scale = random.between(2, 2.5);
  const [left, top] = [random.pick([4, 13]), random.pick([4, 13])];
  const image = new Uint8Array(AREA);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) image[y * SIDE + x] = sample(digit, left + x / scale, top + y / scale);
  }
  return image;
}

/** Bilinear, black outside. */
function sample(image: Uint8Array, x: number, y: number): number {
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [right, below] = [x - x0, y - y0];
  const at = (px: number, py: number): number =>
    px < 0 || py < 0 || px >= SIDE || py >= SIDE ? 0 : image[py * SIDE + px]!;
  return (
    (1 - below) * ((1 - right) * at(x0, y0) + right * at(x0 + 1, y0)) +
    below * ((1 - right) * at(x0, y0 + 1) + right * at(x0 + 1, y0 + 1))
  );
}

/** Blobs: noise on a coarse grid, smoothed, cut at a threshold, fading towards the edge. */
function noise(random: SeededRandom): Uint8Array {
  const cells = 4 + random.below(6);
  const grid = Float64Array.from({ length: (cells + 1) ** 2 }, () => random.next());
  const threshold = random.between(0.45, 0.6);
  const image = new Uint8Array(AREA);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [gx, gy] = [(x / SIDE) * cells, (y / SIDE) * cells];
      const [x0, y0] = [Math.floor(gx), Math.floor(gy)];
      const [right, below] = [gx - x0, gy - y0];
      const at = (cx: number, cy: number): number => grid[cy * (cells + 1) + cx]!;
      const value =
        (1 - below) * ((1 - right) * at(x0, y0) + right * at(x0 + 1, y0)) +
        below * ((1 - right) * at(x0, y0 + 1) + right * at(x0 + 1, y0 + 1));
      const edge = Math.max(Math.abs(x - 13.5), Math.abs(y - 13.5));
      image[y * SIDE + x] = edge > 11 ? 0 : Math.min(255, Math.max(0, (value - threshold) * 1500));
    }
  }
  return image;
}

/** Stripes, checks or rings over the whole image or a window of it. */
function texture(random: SeededRandom): Uint8Array {
  const image = new Uint8Array(AREA);
  const angle = random.between(0, Math.PI);
  const [period, phase] = [random.between(4, 11), random.between(0, 11)];
  const pattern = random.pick(["stripes", "checks", "rings"] as const);
  const [centreX, centreY] = [random.between(8, 20), random.between(8, 20)];
  const half = random.pick([9, 10, 14]);
  const wave = (position: number): number => Math.sin((2 * Math.PI * (position + phase)) / period);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      if (Math.max(Math.abs(x - 13.5), Math.abs(y - 13.5)) > half) continue;
      const along = x * Math.cos(angle) + y * Math.sin(angle);
      const across = y * Math.cos(angle) - x * Math.sin(angle);
      const value =
        pattern === "stripes"
          ? wave(along)
          : pattern === "checks"
            ? wave(along) * wave(across)
            : wave(Math.hypot(x - centreX, y - centreY));
      image[y * SIDE + x] = Math.min(255, Math.max(0, value * 350));
    }
  }
  return image;
}
