import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import sharp, { type Sharp } from "sharp";
import { readImageHeader } from "../../../../connectors/decoder/headers/image-header.js";
import { decodeSmallPng } from "../../../../connectors/decoder/libvips/small-png.js";

test("a small PNG decodes to the bytes that libvips gives, for every filter", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(1 as const, 3 as const),
      fc.integer({ min: 0, max: 255 }),
      fc.boolean(),
      fc.boolean(),
      async (width, height, channels, step, adaptiveFiltering, noisy) => {
        const pixels = Uint8Array.from({ length: width * height * channels }, (_, at) =>
          noisy ? (Math.imul(at + step, 2654435761) >>> 24) & 255 : (at * step + (at >> 4)) & 255,
        );
        const image = sharp(pixels, { raw: { width, height, channels } });
        if (channels === 1) image.toColourspace("b-w");
        const bytes = await image.png({ adaptiveFiltering, compressionLevel: noisy ? 1 : 9 }).toBuffer();
        const header = await readImageHeader(bytes);
        const found = decodeSmallPng(bytes, header);
        assert.ok(found !== null, "taken by the short way");
        assert.equal(found.channels, channels);
        assert.deepEqual(Buffer.from(found.pixels), Buffer.from(pixels));
      },
    ),
    { numRuns: 150, seed: 3 },
  );
});

test("whatever is not plain is left to libvips", async () => {
  const pixels = new Uint8Array(20 * 20 * 3).fill(90);
  const image = (): Sharp => sharp(pixels, { raw: { width: 20, height: 20, channels: 3 } });
  const plain = await image().png().toBuffer();
  const damaged = Buffer.from(plain);
  damaged[50] = damaged[50]! ^ 1;
  const others: Readonly<Record<string, Uint8Array>> = {
    damaged: damaged,
    cut: plain.subarray(0, plain.length - 3),
    alpha: await image().ensureAlpha(0.5).png().toBuffer(),
    palette: await image().png({ palette: true }).toBuffer(),
    interlaced: await image().png({ progressive: true }).toBuffer(),
    deep: await image().toColourspace("rgb16").png().toBuffer(),
    profile: await image().withIccProfile("p3").png().toBuffer(),
    jpeg: await image().jpeg().toBuffer(),
  };
  for (const [name, bytes] of Object.entries(others)) {
    const header = await readImageHeader(bytes);
    assert.equal(decodeSmallPng(bytes, header), null, name);
  }
});
