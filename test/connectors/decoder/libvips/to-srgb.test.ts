import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import sharp from "sharp";
import { isSrgb, parseMatrixProfile } from "../../../../connectors/decoder/headers/icc-profile.js";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { conversionOf } from "../../../../connectors/decoder/libvips/to-srgb.js";
import { asStored, assertClose } from "../../../conformance/decoder.js";

async function profileOf(name: string): Promise<Buffer> {
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background: "grey" } });
  if (name === "cmyk") image.toColourspace("cmyk");
  return Buffer.from((await sharp(await image.withIccProfile(name).jpeg().toBuffer()).metadata()).icc!);
}

function tagAt(profile: Buffer, name: string): number {
  return profile.readUInt32BE(profile.indexOf(name, 128) + 4);
}

/** The profile with one gamma in place of its curves: 563/256 is that of Adobe RGB (1998). */
function withGamma(profile: Buffer, gamma256: number): Buffer {
  const out = Buffer.from(profile);
  for (const name of ["rTRC", "gTRC", "bTRC"]) {
    const at = tagAt(out, name);
    out.write("curv", at, "latin1");
    out.writeUInt32BE(1, at + 8);
    out.writeUInt16BE(gamma256, at + 12);
  }
  return out;
}

describe("conversion to sRGB", () => {
  test("is what the colour management system of libvips does, within its rounding", async () => {
    const p3 = await profileOf("p3");
    const colours = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (Math.imul(at + 1, 2654435761) >>> 24) & 255);
    for (const [name, profile] of Object.entries({ "Display P3": p3, "P3, gamma 2.2": withGamma(p3, 563) })) {
      const conversion = conversionOf(profile);
      assert.ok(typeof conversion === "function", name);
      const ours = Uint8Array.from(colours);
      conversion(ours);
      const plain = await sharp(colours, { raw: { width: 64, height: 64, channels: 3 } })
        .withIccProfile("srgb")
        .tiff({ compression: "none" })
        .toBuffer();
      const theirs = await sharp(replaced(plain, await profileOf("srgb"), profile))
        .raw()
        .toBuffer();
      assert.notDeepEqual(Buffer.from(ours), Buffer.from(colours), name);
      assertClose(ours, theirs, 2, 0.5, name);
    }
  });

  test("leaves the greys and the ends of the scale where they are", async () => {
    const conversion = conversionOf(await profileOf("p3"));
    assert.ok(typeof conversion === "function");
    const greys = Uint8Array.from({ length: 768 }, (_, at) => Math.floor(at / 3));
    const converted = Uint8Array.from(greys);
    conversion(converted);
    assertClose(converted, greys, 1, 0.1, "greys");
    assert.deepEqual([...converted.subarray(0, 3), ...converted.subarray(-3)], [0, 0, 0, 255, 255, 255]);
  });

  test("is none for sRGB, and for nothing that is near it", async () => {
    const srgb = await profileOf("srgb");
    assert.equal(conversionOf(srgb), "none");
    assert.equal(conversionOf(null), "none");
    const primary = Buffer.from(srgb);
    primary.writeInt32BE(primary.readInt32BE(tagAt(srgb, "rXYZ") + 8) + 600, tagAt(srgb, "rXYZ") + 8);
    assert.equal(typeof conversionOf(primary), "function");
    assert.equal(typeof conversionOf(withGamma(srgb, 563)), "function");
    assert.equal(isSrgb(parseMatrixProfile(withGamma(srgb, 563))!), false);
  });

  test("is left to libvips for every other kind of profile", async () => {
    assert.equal(conversionOf(await profileOf("cmyk")), "libvips");
    const srgb = await profileOf("srgb");
    const table = Buffer.from(srgb);
    table.write("A2B0", srgb.indexOf("cprt", 128), "latin1");
    assert.equal(conversionOf(table), "libvips");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: srgb.length - 1 }), fc.uint8Array({ maxLength: 8 }), (end, noise) => {
        const broken = Buffer.concat([srgb.subarray(0, end), noise]);
        assert.ok(
          ["none", "libvips", "function"].includes(
            String(typeof conversionOf(broken) === "function" ? "function" : conversionOf(broken)),
          ),
        );
      }),
      { numRuns: 200, seed: 8 },
    );
    assert.equal(conversionOf(srgb.subarray(0, 200)), "libvips");
  });

  test("is remembered for the profile, not for its place in memory", async () => {
    const p3 = await profileOf("p3");
    assert.equal(conversionOf(Buffer.from(p3)), conversionOf(p3));
    const reused = withGamma(p3, 600);
    const first = conversionOf(reused);
    reused.fill(0);
    assert.equal(conversionOf(reused), "libvips");
    assert.equal(conversionOf(withGamma(p3, 600)), first);
  });

  test("a profile that libvips has to apply is applied too", async () => {
    const p3 = await profileOf("p3");
    // The same profile, but of a kind that the matrix cannot take: a curve of type 1 with an equivalent form.
    const odd = Buffer.from(p3);
    for (const name of ["rTRC", "gTRC", "bTRC"]) odd.writeUInt16BE(1, tagAt(p3, name) + 8);
    assert.equal(conversionOf(odd), "libvips");
    const decoder = openSharpDecoder();
    const tiff = await sharp({ create: { width: 16, height: 16, channels: 3, background: { r: 200, g: 60, b: 40 } } })
      .withIccProfile("p3")
      .tiff({ compression: "none" })
      .toBuffer();
    const { pixels } = await asStored(decoder, replaced(tiff, p3, odd), "rgb", { colourProfile: "convert" });
    const raw = await sharp(tiff, { ignoreIcc: true }).raw().toBuffer();
    assert.notDeepEqual([...pixels.subarray(0, 3)], [...raw.subarray(0, 3)]);
  });
});

/** A file with another profile of at most the same length in the place of its own. */
function replaced(file: Buffer, profile: Buffer, by: Buffer): Buffer {
  const at = file.indexOf(profile);
  assert.ok(at > 0, "the profile stands in the file as it is");
  assert.ok(by.length <= profile.length, `${by.length} bytes in the place of ${profile.length}`);
  const out = Buffer.from(file);
  out.set(by, at);
  return out;
}
