import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import sharp from "sharp";
import { isWhole, readImageHeader } from "../../../../connectors/decoder/headers/image-header.js";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { sniff } from "../../../../connectors/decoder/headers/sniff.js";
import { SluiceError } from "../../../../schemas/errors.js";
import { asStored } from "../../../conformance/decoder.js";
import { goodImages, oddImages, picture } from "../../../fixtures/make-images.js";

describe("image headers", () => {
  test("say what libvips says", async () => {
    const odd = (await oddImages()).filter(({ accept, file }) => accept !== undefined && file !== "moving.png");
    const images = [...Object.entries(await goodImages()), ...odd.map(({ file, bytes }) => [file, bytes] as const)];
    assert.ok(images.length > 20);
    for (const [file, bytes] of images) {
      if (file.endsWith(".bmp")) continue;
      const found = await readImageHeader(bytes);
      const oracle = await sharp(bytes).metadata();
      assert.equal(found.format, oracle.format === "heif" ? "avif" : oracle.format, file);
      assert.deepEqual([found.width, found.height], [oracle.width, oracle.pageHeight ?? oracle.height], file);
      assert.equal(found.frames, oracle.pages ?? 1, file);
      assert.equal(found.bitsPerChannel > 8, oracle.depth === "ushort", file);
      assert.equal(found.colourSpace, { rgb16: "srgb", grey16: "b-w" }[oracle.space as string] ?? oracle.space, file);
      assert.equal(found.orientation, oracle.orientation ?? 1, file);
      assert.deepEqual(found.colourProfile === null ? undefined : Buffer.from(found.colourProfile), oracle.icc, file);
    }
  });

  test("what stands where a picture was to be is named, with what to do", async () => {
    for (const [text, said] of [
      ["<!DOCTYPE html><html><body>404", /found a web page: .*fetch the image again/],
      ["\n <html lang=en>", /found a web page/],
      ["version https://git-lfs.github.com/spec/v1\noid sha256:0\n", /found a pointer of Git LFS: .*git lfs pull/],
      ["P6\n8 8\n255\n", /found Netpbm .*: convert it to JPEG or PNG/],
      ["\0\0\x01\0\x01\0", /found a Windows icon: convert it/],
      ["%!PS-Adobe-3.0 EPSF-3.0\n", /found PostScript \(EPS\): convert it/],
      ["RIFF\x24\x08\0\0AVI LIST", /found a film \(AVI\): extract still images/],
      ["PK\x03\x04\x14\0", /found a zip archive: unpack it/],
      [`${"\0".repeat(128)}DICM`, /found DICOM: convert it/],
      ["P.S. see you", /found bytes that begin 502e532e/],
    ] as const) {
      await assert.rejects(
        readImageHeader(Buffer.from(text, "latin1")),
        (error) => error instanceof SluiceError && error.code === "E_IMAGE_FORMAT" && said.test(error.message),
        text,
      );
    }
  });

  test("a PNG's orientation may be deflated, as text of EXIF or XMP", async () => {
    const whole = await picture(40, 30).png().toBuffer();
    const exif = Buffer.from("49492a0008000000010012010300010000000800000000000000", "hex");
    const profile = `\nexif\n${exif.length}\n${exif.toString("hex")}\n`;
    const xmp = '<rdf:Description tiff:Orientation="6"/>';
    for (const [type, head, text, orientation] of [
      ["zTXt", "Raw profile type exif\0\0", profile, 8],
      ["iTXt", "XML:com.adobe.xmp\0\x01\0\0\0", xmp, 6],
    ] as const) {
      const content = Buffer.concat([Buffer.from(head, "latin1"), deflateSync(text)]);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(content.length);
      const chunk = Buffer.concat([length, Buffer.from(type), content, Buffer.alloc(4)]);
      const end = whole.length - 12;
      const written = Buffer.concat([whole.subarray(0, end), chunk, whole.subarray(end)]);
      assert.equal((await readImageHeader(written)).orientation, orientation, type);
    }
  });

  test("a JPEG that says its height behind the pixels is refused", async () => {
    const bytes = await picture(40, 30).jpeg().toBuffer();
    bytes.writeUInt16BE(0, bytes.indexOf(Buffer.from([0xff, 0xc0])) + 5);
    await assert.rejects(readImageHeader(bytes), { code: "E_IMAGE_CORRUPT", message: /no height .* \(DNL\)/ });
  });

  test("count the frames of an animated PNG, which libvips does not", async () => {
    const moving = (await oddImages()).find(({ file }) => file === "moving.png");
    assert.equal((await readImageHeader(moving!.bytes)).frames, 3);
  });

  test("of a profile split into several segments are joined", async () => {
    const plain = await picture(40, 30).withIccProfile("p3").jpeg().toBuffer();
    const profile = (await sharp(plain).metadata()).icc!;
    const at = plain.indexOf("ICC_PROFILE") - 4;
    const parts = [profile.subarray(0, 200), profile.subarray(200)];
    const segments = parts.map((part, index) => {
      const head = Buffer.from([0xff, 0xe2, 0, 0, ...Buffer.from("ICC_PROFILE\0"), index + 1, parts.length]);
      head.writeUInt16BE(head.length - 2 + part.length, 2);
      return Buffer.concat([head, part]);
    });
    const rest = plain.subarray(at + 2 + plain.readUInt16BE(at + 2));
    const split = Buffer.concat([plain.subarray(0, at), ...segments.reverse(), rest]);
    assert.deepEqual(await readImageHeader(split), await readImageHeader(plain));
  });

  test("of broken bytes are refused, never misread as a crash", async () => {
    const good = Object.values(await goodImages());
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: good.length - 1 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        fc.integer({ min: 0, max: 4000 }),
        async (which, changes, length) => {
          const bytes = Uint8Array.from(good[which]!.subarray(0, Math.max(1, good[which]!.length - length)));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            const header = await readImageHeader(bytes);
            assert.ok(header.width >= 0 && header.height >= 0 && header.frames >= 1);
            assert.ok(header.orientation >= 1 && header.orientation <= 8);
            isWhole(bytes, header.format);
          } catch (error) {
            assert.ok(error instanceof SluiceError, String(error));
            assert.match(error.code, /^E_IMAGE_(FORMAT|TRUNCATED|CORRUPT)$/);
          }
        },
      ),
      { numRuns: 400, seed: 20_261 },
    );
  });

  test("of arbitrary bytes name no format by chance", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const found = sniff(bytes);
        if ("format" in found) assert.ok(["jpeg", "tiff", "bmp"].includes(found.format));
      }),
      { numRuns: 500, seed: 7 },
    );
  });
});

test("decoding damaged images gives pixels or a refusal, never anything else", async () => {
  const decoder = openSharpDecoder({ concurrency: 2 });
  const good = Object.entries(await goodImages());
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: good.length - 1 }),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 6,
      }),
      async (which, changes) => {
        const [file, original] = good[which]!;
        const bytes = Uint8Array.from(original);
        for (const [share, value] of changes) bytes[Math.floor(share * (bytes.length - 1))] = value;
        try {
          const { header, pixels } = await asStored(decoder, bytes);
          assert.equal(pixels.length, header.width * header.height * 3);
        } catch (error) {
          assert.ok(error instanceof SluiceError, `${file}: ${String(error)}`);
          assert.match(error.code, /^E_IMAGE_(FORMAT|TRUNCATED|CORRUPT)$/);
        }
      },
    ),
    { numRuns: 300, seed: 11 },
  );
});
