import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import sharp from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../../operators/image/decode-plan.js";
import { pdq, type Pdq } from "../../../operators/image/pdq.js";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import { ROOT } from "../../architecture/repository.js";
import { view } from "../../conformance/decoder.js";
import { ways } from "./ways.js";

const fixture = (folder: string): unknown =>
  JSON.parse(readFileSync(join(ROOT, "test", "fixtures", folder, "goldens.json"), "utf8"));
const { blobs } = fixture("pillow") as { blobs: readonly string[] };
/** Made by test/fixtures/pdq/make-goldens.py */
const { files } = fixture("pdq") as { files: Record<string, { name: string; hash: string; quality: number }> };

/**
 * Bits by which a hash may differ, and those of a picture with a side of 16 px, whose 16th frequency is exactly 0: the reference hashes its
 * own rounding there.
 */
const mostBits = ({ width, height }: ImageHeader): number => (width === 16 || height === 16 ? 16 : 0);

const bitsOf = (hash: Uint8Array): string => Array.from(hash, (byte) => byte.toString(2).padStart(8, "0")).join("");

for (const way of ways) {
  describe(`the onlooker sees the whole picture: ${way.name}`, { skip: way.skip }, () => {
    const decoder = openSharpDecoder({ turbojpeg: way.turbojpeg });
    const hashOf = async (bytes: Uint8Array, card: ReturnType<typeof view>): Promise<Pdq & { header: ImageHeader }> => {
      const header = await decoder.header(bytes);
      const seen: Pdq[] = [];
      const plan = planDecode(header, card);
      const { pixels } = await decoder.decode(bytes, header, plan, (stored) => {
        seen.push(pdq(stored, header.orientation));
      });
      assert.equal(seen.length, 1);
      const alone = await decoder.decode(bytes, header, plan);
      assert.deepEqual(alone.pixels, pixels, "the teacher's pixels are the same with and without one");
      return { ...seen[0]!, header };
    };

    test("of JPEG files, the reference's hash of what Pillow opens, upright, whatever the teacher sees of them", async () => {
      assert.ok(Object.keys(files).length >= 20);
      for (const [at, { name, hash, quality }] of Object.entries(files)) {
        const bytes = inflateSync(Buffer.from(blobs[Number(at)]!, "base64"));
        const cards = [
          view(16, 24, {}, { shrinkOnLoad: false }),
          view(31, 9, { colour: "grey" }, { shrinkOnLoad: false, orientation: "ignore", kernel: "box" }),
        ];
        for (const card of cards) {
          const found = await hashOf(bytes, card);
          const right = bitsOf(Buffer.from(hash, "hex"));
          const distance = Array.from(bitsOf(found.hash)).filter((bit, index) => bit !== right[index]).length;
          assert.ok(distance <= mostBits(found.header), `${name}: ${distance} bits differ`);
          assert.equal(found.quality, quality, name);
        }
      }
    });

    test("of every other format, its own pixels", async () => {
      const raw = Uint8Array.from({ length: 90 * 70 * 3 }, (_, at) => Math.imul(at >> 5, 2654435761) >>> 24);
      const expected = pdq({ pixels: raw, width: 90, height: 70, channels: 3 }, 1);
      const image = sharp(raw, { raw: { width: 90, height: 70, channels: 3 } });
      for (const bytes of [
        await image.clone().png().toBuffer(),
        await image.clone().webp({ lossless: true }).toBuffer(),
        await image.clone().tiff({ compression: "lzw" }).toBuffer(),
      ]) {
        assert.deepEqual((await hashOf(bytes, view(12, 12))).hash, expected.hash);
      }
    });
  });
}
