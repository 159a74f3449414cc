import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../../operators/image/decode-plan.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { asStored, assertClose, view } from "../../conformance/decoder.js";
import { picture, picturePixels } from "../../fixtures/make-images.js";
import { ways } from "./ways.js";

const decoder = openSharpDecoder({ concurrency: 2 });
const SIDE = 16;

function flat(...colour: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: SIDE * SIDE * colour.length }, (_, at) => colour[at % colour.length]!);
}

function raw(channels: 1 | 2 | 3 | 4): { raw: { width: number; height: number; channels: 1 | 2 | 3 | 4 } } {
  return { raw: { width: SIDE, height: SIDE, channels } };
}

async function firstPixel(
  bytes: Uint8Array,
  colour: "rgb" | "grey" = "rgb",
  resize: Partial<ModelCard["resize"]> = {},
): Promise<readonly number[]> {
  const { pixels } = await asStored(decoder, bytes, colour, resize);
  const channels = colour === "rgb" ? 3 : 1;
  for (let at = channels; at < pixels.length; at++)
    assert.equal(pixels[at], pixels[at % channels], "the image is flat");
  return [...pixels.subarray(0, channels)];
}

const near = (found: readonly number[], expected: readonly number[], tolerance: number): void => {
  assertClose(Uint8Array.from(found), Uint8Array.from(expected), tolerance, tolerance, found.join(","));
};

test("alpha is flattened onto black, colour and grey, 8 and 16 bits", async () => {
  const half = await sharp(flat(200, 100, 50, 128), raw(4))
    .png()
    .toBuffer();
  near(await firstPixel(half), [100, 50, 25], 1);
  const clear = await sharp(flat(200, 100, 50, 0), raw(4))
    .webp({ lossless: true, exact: true })
    .toBuffer();
  assert.deepEqual(await firstPixel(clear), [0, 0, 0]);
  const grey = await sharp(flat(180, 128), raw(2)).toColourspace("b-w").png().toBuffer();
  near(await firstPixel(grey), [90, 90, 90], 1);
  near(await firstPixel(grey, "grey"), [90], 1);
  const deep = await sharp(flat(200, 100, 50, 128), raw(4))
    .toColourspace("rgb16")
    .png()
    .toBuffer();
  near(await firstPixel(deep), [100, 50, 25], 1);
});

test("grey is Rec. 601 luma of the sRGB values", async () => {
  const luma = async (...colour: readonly [number, number, number]): Promise<readonly number[]> =>
    firstPixel(
      await sharp(flat(...colour), raw(3))
        .png()
        .toBuffer(),
      "grey",
    );
  assert.deepEqual(await luma(255, 0, 0), [76]);
  assert.deepEqual(await luma(0, 255, 0), [150]);
  assert.deepEqual(await luma(0, 0, 255), [29]);
  assert.deepEqual(await luma(255, 255, 255), [255]);
  assert.deepEqual(await luma(90, 90, 90), [90]);
});

test("a grey image keeps its values, in one channel and in three", async () => {
  const ramp = Uint8Array.from({ length: 256 }, (_, at) => at);
  for (const format of ["png", "tiff"] as const) {
    const bytes = await sharp(ramp, raw(1)).toColourspace("b-w").toFormat(format, { compression: "none" }).toBuffer();
    assert.deepEqual(Buffer.from((await asStored(decoder, bytes, "grey")).pixels), Buffer.from(ramp), format);
    assert.deepEqual([...(await asStored(decoder, bytes)).pixels.subarray(300, 306)], [100, 100, 100, 101, 101, 101]);
  }
});

test("16 bits become the nearest lower 8, with and without alpha", async () => {
  const words = new Uint16Array(SIDE * SIDE * 3);
  for (const [at] of words.entries()) words[at] = (at % 256) * 257;
  const expected = Uint8Array.from(words, (word) => word >> 8);
  const bytes = await sharp(words, raw(3)).toColourspace("rgb16").png().toBuffer();
  const { header, pixels } = await asStored(decoder, bytes);
  assert.equal(header.bitsPerChannel, 16);
  assert.deepEqual(Buffer.from(pixels), Buffer.from(expected));
  const grey = await sharp(words.subarray(0, 256), raw(1)).toColourspace("grey16").png().toBuffer();
  assert.deepEqual(Buffer.from((await asStored(decoder, grey, "grey")).pixels), Buffer.from(expected.subarray(0, 256)));
});

test("where the card asks for it, colours in another profile come out as the sRGB colours they stand for", async () => {
  for (const [r, g, b] of [
    [200, 60, 40],
    [60, 180, 90],
    [30, 60, 170],
    [128, 128, 128],
  ] as const) {
    // The encoder turns sRGB into Display P3; decoding has to turn it back.
    for (const depth of ["srgb", "rgb16"] as const) {
      const bytes = await sharp(flat(r, g, b), raw(3))
        .toColourspace(depth)
        .withIccProfile("p3")
        .png()
        .toBuffer();
      const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
      const { header } = await asStored(decoder, bytes);
      assert.ok(header.colourProfile !== null);
      near(await firstPixel(bytes), [...stored.subarray(0, 3)], depth === "srgb" ? 0 : 1);
      if (r !== g) assert.notEqual(stored[0], r, "the stored values are those of P3");
      near(await firstPixel(bytes, "rgb", { colourProfile: "convert" }), [r, g, b], 2);
    }
  }
});

test("an embedded sRGB profile changes no value", async () => {
  const pixels = picturePixels(SIDE, SIDE);
  const bytes = await sharp(pixels, raw(3)).withIccProfile("srgb").png().toBuffer();
  const { header, pixels: found } = await asStored(decoder, bytes);
  assert.ok(header.colourProfile !== null);
  assert.deepEqual(Buffer.from(found), Buffer.from(pixels));
});

// The colours on the right are those of Pillow's ImageCms, which calls Little CMS, for the inks that the file has.
test("CMYK with a profile becomes the colours that were printed", async () => {
  for (const [stored, printed] of [
    [
      [255, 255, 255],
      [255, 255, 255],
    ],
    [
      [128, 128, 128],
      [115, 114, 113],
    ],
    [
      [150, 110, 90],
      [149, 103, 71],
    ],
    [
      [90, 120, 150],
      [82, 115, 141],
    ],
  ] as const) {
    const bytes = await sharp(flat(...stored), raw(3))
      .withIccProfile("cmyk")
      .jpeg({ quality: 100 })
      .toBuffer();
    assert.equal((await decoder.header(bytes)).colourSpace, "cmyk");
    near(await firstPixel(bytes), printed, 1);
  }
});

test("what lies outside the image is black, inside it nothing is lost", async () => {
  const bytes = await sharp(flat(250, 240, 230), raw(3))
    .png()
    .toBuffer();
  const header = await decoder.header(bytes);
  const plan = planDecode(header, view(40, 20, {}, { mode: "pad" }));
  const { pixels } = await decoder.decode(bytes, header, plan);
  for (let y = 0; y < 20; y++) {
    for (let x = 0; x < 40; x++) {
      const inside = x >= 10 && x < 30;
      assert.deepEqual(
        [...pixels.subarray((y * 40 + x) * 3, (y * 40 + x) * 3 + 3)],
        inside ? [250, 240, 230] : [0, 0, 0],
      );
    }
  }
});

for (const { name, turbojpeg, skip } of ways) {
  test(`only a card that allows it has JPEG loaded at a fraction of its size: ${name}`, { skip }, async () => {
    const jpegDecoder = openSharpDecoder({ turbojpeg });
    const jpeg = await picture(640, 480).jpeg().toBuffer();
    const png = await sharp(jpeg).png().toBuffer();
    const scaled = async (bytes: Uint8Array, shrinkOnLoad: boolean): Promise<Uint8Array> => {
      const header = await jpegDecoder.header(bytes);
      return (await jpegDecoder.decode(bytes, header, planDecode(header, view(64, 64, {}, { shrinkOnLoad })))).pixels;
    };
    const exact = await scaled(png, false);
    const whole = await scaled(jpeg, false);
    assert.deepEqual(whole, exact);
    const shrunk = await scaled(jpeg, true);
    // libvips is not asked to: without libjpeg-turbo, JPEG is decoded whole.
    if (turbojpeg === "off") assert.deepEqual(shrunk, whole);
    else {
      assert.notDeepEqual(shrunk, whole);
      assertClose(shrunk, exact, 40, 4, "shrunk on load");
    }
  });
}

test("a very long image is scaled and cropped without being held whole", async () => {
  const width = 40_000;
  const bytes = await sharp({ create: { width, height: 8, channels: 3, background: { r: 9, g: 90, b: 200 } } })
    .png()
    .toBuffer();
  const header = await decoder.header(bytes);
  const plan = planDecode(header, view(224, 224));
  assert.deepEqual(plan.scaled, { width: 1_120_000, height: 224 });
  const { pixels } = await decoder.decode(bytes, header, plan);
  assert.deepEqual([...pixels.subarray(0, 3), ...pixels.subarray(-3)], [9, 90, 200, 9, 90, 200]);
});
