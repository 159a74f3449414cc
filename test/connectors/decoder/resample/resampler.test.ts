import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Resampler } from "../../../../connectors/decoder/resample/resampler.js";
import { canReduce, type Axis } from "../../../../connectors/decoder/resample/weights.js";

const KERNELS: Readonly<Record<string, { reach: number; at: (x: number) => number }>> = {
  linear: { reach: 1, at: (x) => 1 - x },
  cubic: { reach: 2, at: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2) },
  mitchell: {
    reach: 2,
    at: (x) => (x < 1 ? (7 * x - 12) * x * x + 16 / 3 : ((-7 / 3) * x + 12) * x * x - 20 * x + 32 / 3) / 6,
  },
  lanczos2: { reach: 2, at: (x) => lanczos(x, 2) },
  lanczos3: { reach: 3, at: (x) => lanczos(x, 3) },
};

function lanczos(x: number, reach: number): number {
  if (x === 0) return 1;
  return (reach * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / reach)) / (Math.PI * x) ** 2;
}

/** A pixel as the kernel defines it, in floating point, over the whole width: slow and obvious. */
function weightsAt(axis: Axis, pixel: number): number[] {
  const { reach, at } = KERNELS[axis.kernel]!;
  const scale = axis.extent / axis.scaled;
  const weights = Array.from({ length: axis.length }, (_, stored) => {
    const distance = Math.abs(stored + 0.5 - (pixel + 0.5) * scale) / scale;
    return distance < reach ? at(distance) : 0;
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function slowReduce(image: Uint8Array, across: Axis, down: Axis): number[] {
  const columns = Array.from({ length: across.to - across.from }, (_, x) => weightsAt(across, across.from + x));
  const out: number[] = [];
  for (let y = down.from; y < down.to; y++) {
    const rows = weightsAt(down, y);
    const between = Array.from({ length: across.length * 3 }, (_, at) =>
      rows.reduce((sum, weight, row) => sum + weight * image[row * across.length * 3 + at]!, 0),
    );
    for (const weights of columns) {
      for (let channel = 0; channel < 3; channel++) {
        out.push(weights.reduce((sum, weight, column) => sum + weight * between[column * 3 + channel]!, 0));
      }
    }
  }
  return out;
}

const axis = fc
  .record({
    kernel: fc.constant("linear" as const),
    length: fc.integer({ min: 1, max: 90 }),
    shrink: fc.constantFrom(1, 2, 4, 8),
    lost: fc.nat({ max: 7 }),
    scaled: fc.integer({ min: 1, max: 90 }),
    from: fc.nat(),
    size: fc.nat(),
  })
  .map(({ kernel, length, shrink, lost, scaled, from, size }): Axis => {
    // Loaded at a fraction, the last pixel may stand for less than a whole one.
    const extent = length - (length > 1 ? (lost % shrink) / shrink : 0);
    const first = from % scaled;
    return { kernel, length, extent, scaled, from: first, to: first + 1 + (size % (scaled - first)) };
  })
  .filter(({ kernel, extent, scaled }) => canReduce(kernel, extent, scaled));

function put(resampler: Resampler, image: Uint8Array, across: Axis, down: Axis, grid: number): Uint8Array {
  const { region, pixels } = resampler.source(across, down, grid);
  assert.equal(region.left % grid, 0);
  assert.ok(region.left + region.width <= across.length && region.top + region.height <= down.length);
  for (let y = 0; y < region.height; y++) {
    const from = ((region.top + y) * across.length + region.left) * 3;
    pixels.set(image.subarray(from, from + region.width * 3), y * region.width * 3);
  }
  return resampler.reduce();
}

test("every reduction is what its kernel says, to the nearest value", () => {
  const resampler = new Resampler();
  fc.assert(
    fc.property(
      axis,
      axis,
      fc.constantFrom("linear", "cubic", "mitchell", "lanczos2", "lanczos3"),
      fc.constantFrom(4, 8, 32),
      fc.integer(),
      (columns, rows, kernel, grid, seed) => {
        const [across, down] = [
          { ...columns, kernel },
          { ...rows, kernel },
        ];
        const image = Uint8Array.from(
          { length: across.length * down.length * 3 },
          (_, at) => Math.imul(at + seed, 2654435761) >>> 24,
        );
        const found = put(resampler, image, across, down, grid);
        const expected = slowReduce(image, across, down);
        assert.equal(found.length, expected.length);
        for (const [at, value] of expected.entries()) {
          const clamped = Math.min(255, Math.max(0, value));
          assert.ok(Math.abs(found[at]! - clamped) < 0.75, `value ${at} is ${found[at]}, expected ${clamped}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("what is not scaled keeps every value, and a flat picture stays flat", () => {
  const resampler = new Resampler();
  const image = Uint8Array.from({ length: 37 * 23 * 3 }, (_, at) => Math.imul(at, 2654435761) >>> 24);
  const whole = (length: number): Axis => ({
    kernel: "lanczos3",
    length,
    extent: length,
    scaled: length,
    from: 0,
    to: length,
  });
  assert.deepEqual(put(resampler, image, whole(37), whole(23), 32), image);
  const flat = new Uint8Array(image.length).fill(201);
  const half: Axis = { kernel: "cubic", length: 37, extent: 36.5, scaled: 11, from: 2, to: 9 };
  assert.deepEqual(put(resampler, flat, half, whole(23), 8), new Uint8Array(7 * 23 * 3).fill(201));
});
