import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pdq } from "../../../operators/image/pdq.js";
import type { Picture } from "../../../schemas/pixels.js";
import { ROOT } from "../../architecture/repository.js";

interface Said {
  readonly hash: string;
  readonly quality: number;
}

/** Made by test/fixtures/pdq/make-goldens.py: what the reference says, through PyPI `pdqhash`. */
const goldens = JSON.parse(readFileSync(join(ROOT, "test", "fixtures", "pdq", "goldens.json"), "utf8")) as {
  readonly pictures: readonly ({ kind: string; width: number; height: number; channels: 1 | 3; seed: number } & Said)[];
  readonly turned: readonly { width: number; height: number; seed: number; upright: readonly Said[] }[];
};

/** 32 bits that look like chance, of each whole number */
function mixed(value: number): number {
  let mix = Math.imul(value, 2654435761) >>> 0;
  mix ^= mix >>> 15;
  mix = Math.imul(mix, 2246822519) >>> 0;
  return (mix ^ (mix >>> 13)) >>> 0;
}

/** As make-goldens.py makes it: noise, or coarse and fine light and dark places with some grain. */
function picture(kind: string, width: number, height: number, channels: 1 | 3, seed: number): Picture {
  const noise = (x: number, y: number, channel: number): number => mixed(x + y * 4099 + channel * 77 + seed * 9973);
  const places = (x: number, y: number, channel: number, cells: number): number => {
    const across = Math.floor((x * cells * 256) / width);
    const down = Math.floor((y * cells * 256) / height);
    const light = (column: number, row: number): number =>
      mixed(column + row * 131 + channel * 10009 + seed * 7919) >>> 24;
    const [column, row, right, below] = [across >> 8, down >> 8, across & 255, down & 255];
    const above = light(column, row) * (256 - right) + light(column + 1, row) * right;
    const under = light(column, row + 1) * (256 - right) + light(column + 1, row + 1) * right;
    return (above * (256 - below) + under * below) >> 16;
  };
  const soft = (x: number, y: number, channel: number): number =>
    Math.min(255, ((3 * places(x, y, channel, 7) + places(x, y, channel, 37)) >> 2) + (noise(x, y, channel) >>> 28));
  const pixels = new Uint8Array(width * height * channels);
  for (let at = 0; at < pixels.length; at++) {
    const [channel, pixel] = [at % channels, Math.floor(at / channels)];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    pixels[at] = kind === "noise" ? noise(x, y, channel) >>> 24 : soft(x, y, channel);
  }
  return { pixels, width, height, channels };
}

function distance(hash: Uint8Array, hex: string): number {
  const other = Buffer.from(hex, "hex");
  assert.equal(hash.length, other.length);
  return hash.reduce((sum, byte, at) => sum + ((byte ^ other[at]!).toString(2).match(/1/g)?.length ?? 0), 0);
}

test("is the reference's up to 896 px a side, and within 8 bits of it above", () => {
  for (const { kind, width, height, channels, seed, hash, quality } of goldens.pictures) {
    const found = pdq(picture(kind, width, height, channels, seed), 1);
    const name = `${kind} ${width} x ${height} x ${channels}`;
    const isWhole = Math.max(width, height) <= 896;
    const bits = distance(found.hash, hash);
    assert.ok(bits <= (isWhole ? 0 : 8), `${name}: ${bits} bits differ`);
    assert.ok(
      Math.abs(found.quality - quality) <= (isWhole ? 0 : 2),
      `${name}: quality ${found.quality}, not ${quality}`,
    );
  }
});

/** The upright picture of each EXIF orientation is stored so. */
function storedAs({ pixels, width, height, channels }: Picture, flip: "x" | "y"): Picture {
  const out = new Uint8Array(pixels.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = flip === "x" ? [width - 1 - x, y] : [x, height - 1 - y];
      for (let channel = 0; channel < channels; channel++)
        out[to++] = pixels[(row * width + column) * channels + channel]!;
    }
  }
  return { pixels: out, width, height, channels };
}

test("of a picture that EXIF turns, it is the reference's of the upright one", () => {
  for (const { width, height, seed, upright } of goldens.turned) {
    const stored = picture("soft", width, height, 3, seed);
    upright.forEach(({ hash, quality }, index) => {
      const found = pdq(stored, index + 1);
      assert.equal(Buffer.from(found.hash).toString("hex"), hash, `${width} x ${height}, orientation ${index + 1}`);
      assert.equal(found.quality, quality);
    });
  }
});

test("a large picture has the same hash whichever way it is stored", () => {
  const upright = picture("soft", 1030, 2000, 3, 4);
  const { hash } = pdq(upright, 1);
  assert.deepEqual(pdq(storedAs(upright, "x"), 2).hash, hash);
  assert.deepEqual(pdq(storedAs(upright, "y"), 4).hash, hash);
});

test("grey is the same as grey in three channels", () => {
  const grey = picture("soft", 211, 150, 1, 9);
  const pixels = Uint8Array.from({ length: grey.pixels.length * 3 }, (_, at) => grey.pixels[Math.floor(at / 3)]!);
  assert.deepEqual(pdq({ ...grey, pixels, channels: 3 }, 1), pdq(grey, 1));
});

test("a flat picture, and one below 5 px, has the hash 0 and nothing to see", () => {
  const none = { hash: new Uint8Array(32), quality: 0 };
  for (const value of [0, 77, 255]) {
    for (const [width, height] of [
      [33, 700],
      [64, 64],
      [1300, 900],
    ] as const) {
      const pixels = new Uint8Array(width * height * 3).fill(value);
      assert.deepEqual(pdq({ pixels, width, height, channels: 3 }, 1), none, `${value}, ${width} x ${height}`);
    }
  }
  assert.deepEqual(pdq(picture("noise", 4, 90, 3, 1), 1), none);
});

test("what is scaled or made lighter stays near, what is another picture does not", () => {
  const { hash } = pdq(picture("soft", 640, 480, 3, 12), 1);
  const hex = Buffer.from(hash).toString("hex");
  const smaller = pdq(picture("soft", 200, 150, 3, 12), 1);
  assert.ok(distance(smaller.hash, hex) <= 31, `scaled: ${distance(smaller.hash, hex)} bits`);
  const original = picture("soft", 640, 480, 3, 12);
  const lighter = { ...original, pixels: original.pixels.map((value) => Math.min(255, Math.round(value * 0.8 + 30))) };
  assert.ok(distance(pdq(lighter, 1).hash, hex) <= 10, `lighter: ${distance(pdq(lighter, 1).hash, hex)} bits`);
  const other = pdq(picture("soft", 640, 480, 3, 13), 1);
  assert.ok(distance(other.hash, hex) > 80, `another: ${distance(other.hash, hex)} bits`);
});
