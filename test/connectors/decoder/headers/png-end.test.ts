import assert from "node:assert/strict";
import { test } from "node:test";
import { withPngEnd } from "../../../../connectors/decoder/headers/png-end.js";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../../../operators/image/decode-plan.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { picture } from "../../../fixtures/make-images.js";

/** IEND: its length, type and checksum */
const END_BYTES = 12;
const card = {
  input: { width: 30, height: 20, layout: "NHWC", colour: "rgb" },
  resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
} as const;

test("a PNG without its end is taken where every pixel is there, and no shorter one", async () => {
  const whole = await picture(90, 70).png().toBuffer();
  const decoder = openSharpDecoder();
  const decoded = async (bytes: Uint8Array) => {
    const header = await decoder.header(bytes);
    return decoder.decode(bytes, header, planDecode(header, card));
  };
  const { pixels } = await decoded(whole);
  for (let lost = 1; lost <= END_BYTES; lost++) {
    const cut = await decoded(whole.subarray(0, whole.length - lost));
    assert.deepEqual(cut.pixels, pixels, `${lost} lost`);
    assert.deepEqual(cut.notes, ["no-end"]);
  }
  for (let lost = END_BYTES + 1; lost < whole.length - 60; lost += 1 + (lost >> 5)) {
    const cut = whole.subarray(0, whole.length - lost);
    assert.equal(withPngEnd(cut), null, `${lost} lost`);
    if (lost < END_BYTES + 8) await assert.rejects(decoded(cut), (error) => isSluiceError(error, "E_IMAGE_TRUNCATED"));
  }
});

test("chunks of pixels that end whole, before all pixels have come, are too few", async () => {
  const whole = await picture(90, 70).png().toBuffer();
  const at = whole.indexOf("IDAT") - 4;
  const half = whole.subarray(at + 8, at + 8 + (whole.readUInt32BE(at) >> 1));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(half.length);
  assert.equal(
    withPngEnd(Buffer.concat([whole.subarray(0, at), length, Buffer.from("IDAT"), half, Buffer.alloc(4)])),
    null,
  );
});
