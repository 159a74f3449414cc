import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Resampler, type PassOrder } from "../../../../connectors/decoder/resample/resampler.js";
import type { Axis } from "../../../../connectors/decoder/resample/weights.js";

const KERNELS: Readonly<Record<Axis["kernel"], { reach: number; at: (x: number) => number }>> = {
  box: { reach: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  linear: { reach: 1, at: (x) => 1 - Math.abs(x) },
  hamming: { reach: 1, at: (x) => lanczos(x, 1) ** 0.5 * (0.54 + 0.46 * Math.cos(Math.PI * x)) },
  cubic: {
    reach: 2,
    at: (x) => {
      const away = Math.abs(x);
      return away < 1 ? (1.5 * away - 2.5) * away * away + 1 : ((-0.5 * away + 2.5) * away - 4) * away + 2;
    },
  },
  lanczos3: { reach: 3, at: (x) => lanczos(x, 3) },
};

function lanczos(x: number, reach: number): number {
  if (x === 0) return 1;
  return (reach * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / reach)) / (Math.PI * x) ** 2;
}

/** A pixel as the kernel defines it, in floating point, over the whole width: slow and obvious. */
function weightsAt(axis: Axis, pixel: number): number[] {
  const { reach, at } = KERNELS[axis.kernel];
  const step = axis.extent / axis.scaled;
  const stretch = axis.antialias ? Math.max(1, step) : 1;
  const weights = Array.from({ length: axis.length }, (_, stored) => {
    const distance = (stored + 0.5 - (pixel + 0.5) * step) / stretch;
    return Math.abs(distance) <= reach ? at(distance) : 0;
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

const rounded = (value: number): number => Math.min(255, Math.max(0, Math.floor(value + 0.5)));

/** [rows x columns x 3] of an image, along one axis */
function slowPass(image: readonly number[], width: number, axis: Axis, isAcross: boolean): number[] {
  const height = image.length / width / 3;
  const size = axis.to - axis.from;
  const all = Array.from({ length: size }, (_, at) => weightsAt(axis, axis.from + at));
  const out: number[] = [];
  for (let y = 0; y < (isAcross ? height : size); y++) {
    for (let x = 0; x < (isAcross ? size : width); x++) {
      for (let channel = 0; channel < 3; channel++) {
        const sum = all[isAcross ? x : y]!.reduce((total, weight, at) => {
          const [row, column] = isAcross ? [y, at] : [at, x];
          return weight === 0 ? total : total + weight * image[(row * width + column) * 3 + channel]!;
        }, 0);
        out.push(rounded(sum));
      }
    }
  }
  return out;
}

function slowScale(image: Uint8Array, across: Axis, down: Axis, order: PassOrder): number[] {
  const stored = [...image];
  const columns = across.to - across.from;
  return order === "across first"
    ? slowPass(slowPass(stored, across.length, across, true), columns, down, false)
    : slowPass(slowPass(stored, across.length, down, false), across.length, across, true);
}

const axis = fc
  .record({
    length: fc.integer({ min: 1, max: 60 }),
    shrink: fc.constantFrom(1, 1, 2, 4, 8),
    lost: fc.nat({ max: 7 }),
    scaled: fc.integer({ min: 1, max: 60 }),
    from: fc.nat(),
    size: fc.nat(),
  })
  .map(({ length, shrink, lost, scaled, from, size }): Omit<Axis, "kernel" | "antialias"> => {
    // Loaded at a fraction, the last pixel may stand for less than a whole one.
    const extent = length - (length > 1 ? (lost % shrink) / shrink : 0);
    const first = from % scaled;
    return { length, extent, scaled, from: first, to: first + 1 + (size % (scaled - first)) };
  });

function put(
  resampler: Resampler,
  image: Uint8Array,
  across: Axis,
  down: Axis,
  order: PassOrder,
  grid: number | "all",
): Uint8Array {
  const { region, pixels } = resampler.source(across, down, order, grid);
  if (grid === "all") assert.equal(region.width * region.height, across.length * down.length);
  else assert.equal(region.left % grid, 0);
  assert.ok(region.left + region.width <= across.length && region.top + region.height <= down.length);
  for (let y = 0; y < region.height; y++) {
    const from = ((region.top + y) * across.length + region.left) * 3;
    pixels.set(image.subarray(from, from + region.width * 3), y * region.width * 3);
  }
  return resampler.scale();
}

const noise = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => Math.imul(at + seed, 2654435761) >>> 24);

test("every scaling is what its kernel says, rounded after each pass, enlarging and reducing, in both orders", () => {
  const resampler = new Resampler();
  fc.assert(
    fc.property(
      axis,
      axis,
      // A box may end on the middle of a pixel, which rounding puts in or out: golden pixels say which.
      fc.constantFrom("linear", "hamming", "cubic", "lanczos3"),
      fc.constantFrom("across first", "down first"),
      fc.constantFrom(4, 8, 32, "all" as const),
      fc.boolean(),
      fc.integer(),
      (columns, rows, kernel, order, grid, antialias, seed) => {
        const across: Axis = { ...columns, kernel, antialias };
        const down: Axis = { ...rows, kernel, antialias };
        const image = noise(across.length * down.length * 3, seed);
        const found = put(resampler, image, across, down, order, grid);
        const expected = slowScale(image, across, down, order);
        assert.equal(found.length, expected.length);
        // A value on the border between two may be rounded either way, and weighs on what is made of it.
        const most = found.reduce((worst, value, at) => Math.max(worst, Math.abs(value - expected[at]!)), 0);
        assert.ok(most <= 2, `a value differs by ${most}`);
        const stored = { pixels: image, width: across.length, height: down.length, channels: 3, notes: [] } as const;
        assert.deepEqual(resampler.scaleStored(stored, across, down, order), found, "brought here by strips");
      },
    ),
    { numRuns: 200 },
  );
});

test("large images are the same by strips", () => {
  const resampler = new Resampler();
  const [width, height] = [2000, 700];
  const image = noise(width * height * 3, 3);
  const axisOf = (length: number, scaled: number): Axis => ({
    kernel: "cubic",
    antialias: true,
    length,
    extent: length,
    scaled,
    from: 1,
    to: scaled - 2,
  });
  const [across, down] = [axisOf(width, 130), axisOf(height, 90)];
  for (const order of ["across first", "down first"] as const) {
    const whole = put(resampler, image, across, down, order, 8);
    const stored = { pixels: image, width, height, channels: 3, notes: [] } as const;
    assert.deepEqual(resampler.scaleStored(stored, across, down, order), whole, order);
  }
});

test("what is not scaled keeps every value, a flat picture stays flat, and grey is taken as it is", () => {
  const resampler = new Resampler();
  const image = noise(37 * 23 * 3, 1);
  const whole = (length: number): Axis => ({
    kernel: "lanczos3",
    antialias: true,
    length,
    extent: length,
    scaled: length,
    from: 0,
    to: length,
  });
  assert.deepEqual(put(resampler, image, whole(37), whole(23), "across first", 32), image);
  const half: Axis = { ...whole(37), kernel: "cubic", extent: 36.5, scaled: 11, from: 2, to: 9 };
  const flat = { pixels: new Uint8Array(37 * 23).fill(201), width: 37, height: 23, channels: 1, notes: [] } as const;
  for (const order of ["across first", "down first"] as const) {
    const found = resampler.scaleStored(flat, half, whole(23), order);
    assert.deepEqual(found, new Uint8Array(7 * 23 * 3).fill(201));
  }
});
