import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { withGifEnd } from "../../../../connectors/decoder/headers/gif-end.js";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../../../operators/image/decode-plan.js";
import { picture } from "../../../fixtures/make-images.js";

const LIMIT = 1e6;

/** A noisy picture, of many blocks */
async function manyBlocks(): Promise<Buffer> {
  const noise = Uint8Array.from({ length: 90 * 70 * 3 }, (_, at) => (at * 2_654_435_761) >>> 24);
  return sharp(noise, { raw: { width: 90, height: 70, channels: 3 } })
    .gif()
    .toBuffer();
}

test("a GIF without its last bytes is taken where every pixel is there, and no shorter one", async () => {
  for (const whole of [await picture(90, 70).gif().toBuffer(), await manyBlocks()]) {
    const pixels = await sharp(whole).raw().toBuffer();
    for (const lost of [1, 2]) {
      const ended = await withGifEnd(whole.subarray(0, whole.length - lost), LIMIT);
      assert.ok(ended, `${lost} lost`);
      assert.deepEqual(await sharp(ended).raw().toBuffer(), pixels);
    }
    for (let lost = 3; lost < whole.length - 20; lost += 1 + (lost >> 4)) {
      assert.equal(await withGifEnd(whole.subarray(0, whole.length - lost), LIMIT), null, `${lost} lost`);
    }
  }
});

test("one that ends between two blocks of its picture lacks pixels", async () => {
  const whole = await manyBlocks();
  const image = whole.indexOf(Uint8Array.of(0x2c, 0, 0, 0, 0, 90, 0, 70, 0));
  const table = (whole[image + 9]! & 0x80) === 0 ? 0 : 3 * 2 ** ((whole[image + 9]! & 7) + 1);
  let cuts = 0;
  for (let at = image + 11 + table; whole[at]! > 0; at += whole[at]! + 1) {
    assert.equal(await withGifEnd(whole.subarray(0, at), LIMIT), null, `cut at ${at}`);
    cuts++;
  }
  assert.ok(cuts > 5);
});

test("the decoder gives its pixels, and notes what it lacks", async () => {
  const whole = await picture(30, 20).gif().toBuffer();
  const decoder = openSharpDecoder({ concurrency: 1 });
  const decoded = async (bytes: Uint8Array) => {
    const header = await decoder.header(bytes);
    const plan = planDecode(header, {
      input: { width: 30, height: 20, layout: "NHWC", colour: "rgb" },
      resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
    });
    return decoder.decode(bytes, header, plan);
  };
  const { pixels } = await decoded(whole);
  assert.deepEqual(await decoded(whole.subarray(0, -1)), { pixels, notes: ["no-end"] });
  await assert.rejects(decoded(whole.subarray(0, -8)), { code: "E_IMAGE_TRUNCATED" });
});

test("a GIF whose picture is larger than the screen that its header announces says so", async () => {
  const whole = Buffer.from(await picture(90, 70).gif().toBuffer());
  whole.writeUInt16LE(10, 6);
  whole.writeUInt16LE(10, 8);
  const decoder = openSharpDecoder({ concurrency: 1 });
  const header = await decoder.header(whole);
  const plan = planDecode(header, {
    input: { width: 10, height: 10, layout: "NHWC", colour: "rgb" },
    resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
  });
  await assert.rejects(decoder.decode(whole, header, plan), {
    code: "E_IMAGE_CORRUPT",
    message: /more pixels than the 10 x 10 = 100 that its header announces/,
  });
});
