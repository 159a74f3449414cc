import assert from "node:assert/strict";
import { test } from "node:test";
import { readImageHeader } from "../../../../connectors/decoder/headers/image-header.js";
import { withEnd } from "../../../../connectors/decoder/headers/jpeg-end.js";
import { picture } from "../../../fixtures/make-images.js";

const LIMIT = 1e6;

test("a JPEG without its end is taken where every pixel is there, and no shorter one", async () => {
  for (const options of [{}, { progressive: true }, { chromaSubsampling: "4:4:4", quality: 40 }]) {
    const whole = await picture(90, 70).jpeg(options).toBuffer();
    const scan = whole.lastIndexOf(Uint8Array.of(0xff, 0xda));
    for (const lost of [1, 2]) assert.ok(await withEnd(whole.subarray(0, whole.length - lost), LIMIT), `${lost} lost`);
    const step = Math.max(1, Math.floor((whole.length - scan) / 25));
    for (let end = whole.length - 4; end > 200; end -= step) {
      assert.equal(await withEnd(whole.subarray(0, end), LIMIT), null, `${JSON.stringify(options)} cut at ${end}`);
    }
  }
});

test("a block filled up with zeros is no part of the picture, and does not stand for one", async () => {
  const whole = await picture(90, 70).jpeg().toBuffer();
  const filled = (end: number): Buffer => Buffer.concat([whole.subarray(0, end), new Uint8Array(4000)]);
  assert.ok(await withEnd(filled(whole.length - 2), LIMIT));
  assert.equal(await withEnd(filled(Math.floor(whole.length * 0.6)), LIMIT), null);
});

test("12 bits a channel are refused as a format, since nothing that trains a teacher reads them", async () => {
  const deep = Buffer.from(await picture(40, 30).jpeg().toBuffer());
  deep[deep.indexOf(Uint8Array.of(0xff, 0xc0)) + 4] = 12;
  await assert.rejects(readImageHeader(deep), { code: "E_IMAGE_FORMAT" });
});
