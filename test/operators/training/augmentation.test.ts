import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { augmentInto, type Augmentation, type ImageShape } from "../../../operators/training/augmentation.js";
import { SeededRandom } from "../../../operators/training/seeded-random.js";

const STILL: Augmentation = { rotateDegrees: 0, scale: 0, shift: 0, shear: 0, tint: 0 };

function augmented(source: Uint8Array, shape: ImageShape, augmentation: Augmentation, seed = 1): Uint8Array {
  const target = new Uint8Array(source.length);
  augmentInto(source, 0, target, 0, shape, augmentation, new SeededRandom(seed));
  return target;
}

const pictures = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    height: fc.integer({ min: 1, max: 9 }),
    channels: fc.constantFrom(1, 3),
  })
  .chain((shape) => {
    const length = shape.width * shape.height * shape.channels;
    return fc.record({ shape: fc.constant(shape), pixels: fc.uint8Array({ minLength: length, maxLength: length }) });
  });

test("an image that is not moved stays as it is", () => {
  fc.assert(
    fc.property(pictures, ({ shape, pixels }) => {
      assert.deepEqual(augmented(pixels, shape, STILL), pixels);
    }),
  );
});

test("a shift moves the centre of brightness by at most its share of the side, and brings in black", () => {
  const shape = { width: 20, height: 20, channels: 1 };
  const source = new Uint8Array(400);
  for (let y = 8; y < 12; y++) for (let x = 8; x < 12; x++) source[y * 20 + x] = 200;
  const offsets: [number, number][] = [];
  for (let seed = 0; seed < 40; seed++) {
    const image = augmented(source, shape, { ...STILL, shift: 0.1 }, seed);
    let [sum, sumX, sumY] = [0, 0, 0];
    image.forEach((value, at) => {
      sum += value;
      sumX += value * (at % 20);
      sumY += value * Math.floor(at / 20);
    });
    // Brightness is kept: nothing left the image.
    assert.ok(Math.abs(sum / (16 * 200) - 1) < 0.02, `${sum}`);
    offsets.push([sumX / sum - 9.5, sumY / sum - 9.5]);
  }
  for (const axis of [0, 1] as const) {
    const moves = offsets.map((offset) => offset[axis]);
    assert.ok(Math.max(...moves.map(Math.abs)) < 2.05);
    assert.ok(Math.max(...moves) > 1 && Math.min(...moves) < -1, "moves both ways");
  }
});

test("a quarter turn at most keeps a centred disc, and a scale changes its area as it should", () => {
  const shape = { width: 41, height: 41, channels: 1 };
  const disc = Uint8Array.from({ length: 41 * 41 }, (_, at) =>
    Math.hypot((at % 41) - 20, Math.floor(at / 41) - 20) <= 10 ? 255 : 0,
  );
  const area = (image: Uint8Array): number => image.reduce((sum, value) => sum + value, 0) / 255;
  for (let seed = 0; seed < 10; seed++) {
    const turned = augmented(disc, shape, { ...STILL, rotateDegrees: 90 }, seed);
    assert.ok(Math.abs(area(turned) / area(disc) - 1) < 0.03);
    const scaled = area(augmented(disc, shape, { ...STILL, scale: 0.2 }, seed)) / area(disc);
    assert.ok(scaled > 0.62 && scaled < 1.47, `${scaled}`);
  }
});

test("channels move together", () => {
  const shape = { width: 12, height: 12, channels: 3 };
  const grey = new SeededRandom(9);
  const plane = Uint8Array.from({ length: 144 }, () => grey.below(256));
  const source = Uint8Array.from({ length: 432 }, (_, at) => plane[Math.floor(at / 3)]!);
  const image = augmented(source, shape, { rotateDegrees: 30, scale: 0.3, shift: 0.2, shear: 0.3, tint: 0 });
  assert.notDeepEqual(image, source);
  for (let at = 0; at < 432; at += 3) assert.ok(image[at] === image[at + 1] && image[at] === image[at + 2]);
});

test("a tint changes each channel for itself, within its share, and grey not at all", () => {
  const shape = { width: 2, height: 1, channels: 3 };
  const source = Uint8Array.of(128, 128, 128, 228, 228, 228);
  const lifts: number[] = [];
  for (let seed = 0; seed < 40; seed++) {
    const image = augmented(source, shape, { ...STILL, tint: 0.25 }, seed);
    const own = [0, 1, 2].map((channel) => {
      const lift = image[channel]! - 128;
      assert.ok(Math.abs(lift) <= 32, `${lift}`);
      const gain = (image[channel + 3]! - image[channel]!) / 100;
      assert.ok(image[channel + 3] === 255 || (gain >= 0.74 && gain <= 1.26), `${gain}`);
      return lift;
    });
    lifts.push(...own);
    assert.ok(new Set(own).size > 1, "channels differ");
  }
  assert.ok(Math.max(...lifts) > 20 && Math.min(...lifts) < -20, "both ways");
  const grey = Uint8Array.of(3, 128, 250, 9);
  assert.deepEqual(augmented(grey, { width: 2, height: 2, channels: 1 }, { ...STILL, tint: 0.5 }), grey);
});
