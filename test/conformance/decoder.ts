import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sharp from "sharp";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { planDecode, refuse } from "../../operators/image/decode-plan.js";
import { decodeSchema, type DecodeConfig } from "../../schemas/config.js";
import type { DecodePlan, ImageHeader } from "../../schemas/decode-plan.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ModelCard } from "../../schemas/model-card.js";
import { goodImages, oddImages, picture, picturePixels } from "../fixtures/make-images.js";

type View = Pick<ModelCard, "input" | "resize">;

export function view(
  width: number,
  height: number,
  input: Partial<ModelCard["input"]> = {},
  resize: Partial<ModelCard["resize"]> = {},
): View {
  return {
    input: { width, height, layout: "NHWC", colour: "rgb", ...input },
    resize: { kernel: "linear", mode: "crop", shrinkOnLoad: true, ...resize },
  };
}

/** Decodes at the image's own size: no pixel is scaled, cropped or lost. */
export async function asStored(
  decoder: Decoder,
  bytes: Uint8Array,
  colour: "rgb" | "grey" = "rgb",
  resize: Partial<ModelCard["resize"]> = {},
): Promise<{ header: ImageHeader; plan: DecodePlan; pixels: Uint8Array }> {
  const header = await decoder.header(bytes);
  const [width, height] = header.orientation >= 5 ? [header.height, header.width] : [header.width, header.height];
  const plan = planDecode(header, view(width, height, { colour }, resize));
  return { header, plan, pixels: (await decoder.decode(bytes, header, plan)).pixels };
}

/** Asserts that two images of u8 values differ nowhere by more than `most`, and on average by at most `mean`. */
export function assertClose(found: Uint8Array, expected: Uint8Array, most: number, mean: number, what: string): void {
  assert.equal(found.length, expected.length, `${what}: bytes`);
  let sum = 0;
  for (const [at, value] of found.entries()) {
    const difference = Math.abs(value - expected[at]!);
    assert.ok(difference <= most, `${what}: byte ${at} is ${value}, expected ${expected[at]} ± ${most}`);
    sum += difference;
  }
  assert.ok(
    sum / found.length <= mean,
    `${what}: differs by ${sum / found.length} on average, at most ${mean} expected`,
  );
}

/** What every decoder promises. `skip`: why it cannot be had here. */
export function decoderConformance(name: string, open: () => Decoder, skip: string | false = false): void {
  describe(`decoder ${name}`, { skip }, () => {
    const decoder = open();

    async function outcome(file: string, bytes: Uint8Array, config: DecodeConfig): Promise<string> {
      try {
        const header = await decoder.header(bytes);
        const refused = refuse(header, config, `file:///pictures/${file}`);
        if (refused !== null) return refused.code;
        const plan = planDecode(header, view(32, 32));
        const { pixels } = await decoder.decode(bytes, header, plan);
        assert.equal(pixels.length, 32 * 32 * 3);
        return "decoded";
      } catch (error) {
        if (!isSluiceError(error)) throw error;
        assert.match(error.message, /^Expected .+, found /, error.message);
        return error.code;
      }
    }

    test("decodes every format to exactly the plan's bytes, whatever its mode and colours", async () => {
      for (const [file, bytes] of Object.entries(await goodImages())) {
        const header = await decoder.header(bytes);
        assert.deepEqual([header.width, header.height, header.frames], [60, 40, 1], file);
        for (const card of [
          view(24, 24),
          view(24, 24, { colour: "grey" }),
          view(100, 10, { colour: "bgr" }),
          view(50, 30, {}, { mode: "pad", kernel: "lanczos3" }),
          view(10, 50, {}, { mode: "pad", shrinkOnLoad: false }),
          view(17, 90, {}, { mode: "stretch", kernel: "nearest" }),
          view(16, 16, {}, { shortSide: 20, kernel: "cubic" }),
          view(60, 40, { colour: "grey" }),
          view(60, 40),
        ]) {
          const plan = planDecode(header, card);
          const { pixels } = await decoder.decode(bytes, header, plan);
          const { width, height, channels } = plan.output;
          assert.equal(pixels.length, width * height * channels, `${file} ${JSON.stringify(card)}`);
        }
      }
    });

    test("gives the picture back: to the bit where the format is lossless", async () => {
      const expected = picturePixels(60, 40);
      const images = await goodImages();
      for (const file of [
        "plain.png",
        "interlaced.png",
        "lossless.webp",
        "plain.tif",
        "packed.tiff",
        "plain.bmp",
        "topdown.bmp",
      ]) {
        const { pixels } = await asStored(decoder, images[file]!);
        assert.deepEqual(Buffer.from(pixels), Buffer.from(expected), file);
      }
      for (const file of ["plain.jpg", "progressive.jpeg", "plain.webp", "plain.avif"]) {
        assertClose((await asStored(decoder, images[file]!)).pixels, expected, 140, 14, file);
      }
    });

    test("refuses each bad image by its code, and accepts it where a setting says so", async () => {
      const strict = decodeSchema.parse({ strict: true });
      const wild = decodeSchema.parse({});
      for (const { file, bytes, code, accept } of await oddImages()) {
        assert.equal(await outcome(file, bytes, strict), code ?? "decoded", file);
        if (accept !== undefined) {
          assert.equal(await outcome(file, bytes, { ...strict, ...accept }), "decoded", `${file} accepted`);
          if (code !== "E_IMAGE_TINY") assert.equal(await outcome(file, bytes, wild), "decoded", `${file} by default`);
        }
      }
    });

    test("refuses every cut of an image, wherever it is cut", async () => {
      const config = decodeSchema.parse({});
      for (const [file, bytes] of Object.entries(await goodImages())) {
        const step = Math.max(1, Math.floor(bytes.length / 40));
        for (let end = 1; end < bytes.length - 1; end += step) {
          const found = await outcome(file, bytes.subarray(0, end), config);
          const expected = end < 20 ? ["E_IMAGE_TRUNCATED", "E_IMAGE_FORMAT"] : ["E_IMAGE_TRUNCATED"];
          // The last padding of some containers carries nothing: then the picture is whole.
          const whole = end > bytes.length - 8 && found === "decoded";
          assert.ok(expected.includes(found) || whole, `${file} cut at ${end} of ${bytes.length}: ${found}`);
        }
      }
    });

    test("does not decode what is larger than its header said", async () => {
      const small = await decoder.header(await picture(20, 20).jpeg().toBuffer());
      const large = await picture(400, 400).jpeg().toBuffer();
      await assert.rejects(decoder.decode(large, small, planDecode(small, view(16, 16))), { code: "E_IMAGE_CORRUPT" });
    });

    test("decodes many at once, each as it does alone", async () => {
      const images = await Promise.all(
        Array.from({ length: 24 }, (_, seed) =>
          picture(80, 60, seed + 1)
            .jpeg()
            .toBuffer(),
        ),
      );
      const one = async (bytes: Uint8Array): Promise<Uint8Array> => {
        const header = await decoder.header(bytes);
        return (await decoder.decode(bytes, header, planDecode(header, view(32, 32)))).pixels;
      };
      const alone: Uint8Array[] = [];
      for (const bytes of images) alone.push(await one(bytes));
      const together = await Promise.all(images.map(one));
      assert.deepEqual(together, alone);
      assert.notDeepEqual(alone[0], alone[1]);
    });

    test("leaves the bytes it was given as they were", async () => {
      for (const [file, bytes] of Object.entries(await goodImages())) {
        const before = Buffer.from(bytes);
        await asStored(decoder, bytes);
        assert.ok(before.equals(bytes), file);
      }
    });

    test("reads bytes that lie within a larger buffer", async () => {
      const bytes = await picture(40, 30).jpeg().toBuffer();
      const larger = Buffer.concat([Buffer.from("before "), bytes, Buffer.from(" after")]);
      const within = larger.subarray(7, 7 + bytes.length);
      assert.deepEqual((await asStored(decoder, within)).pixels, (await asStored(decoder, bytes)).pixels);
    });

    test("turns each EXIF orientation upright", async () => {
      // Four colours tell the corners apart: red green / blue white.
      const upright = await sharp(CORNERS, { raw: { width: 2, height: 2, channels: 3 } })
        .resize(48, 32, { fit: "fill", kernel: "nearest" })
        .raw()
        .toBuffer();
      for (let orientation = 1; orientation <= 8; orientation++) {
        for (const format of ["jpeg", "png", "webp", "tiff"] as const) {
          const bytes = await stored(upright, orientation, format);
          const { header, pixels } = await asStored(decoder, bytes);
          assert.equal(header.orientation, orientation, format);
          assert.equal(cornersOf(pixels, 48, 32), "red green blue white", `orientation ${orientation} of ${format}`);
        }
      }
    });
  });
}

const CORNERS = Uint8Array.of(250, 0, 0, 0, 250, 0, 0, 0, 250, 250, 250, 250);

/** The upright picture, stored as a camera would that says `orientation`: each step undoes what a viewer does. */
async function stored(
  upright: Uint8Array,
  orientation: number,
  format: "jpeg" | "png" | "webp" | "tiff",
): Promise<Uint8Array> {
  const viewer: Record<number, { mirrored: boolean; clockwise: number }> = {
    1: { mirrored: false, clockwise: 0 },
    2: { mirrored: true, clockwise: 0 },
    3: { mirrored: false, clockwise: 180 },
    4: { mirrored: true, clockwise: 180 },
    5: { mirrored: true, clockwise: 270 },
    6: { mirrored: false, clockwise: 90 },
    7: { mirrored: true, clockwise: 90 },
    8: { mirrored: false, clockwise: 270 },
  };
  const { mirrored, clockwise } = viewer[orientation]!;
  const turned = await sharp(upright, { raw: { width: 48, height: 32, channels: 3 } })
    .rotate(360 - clockwise)
    .png()
    .toBuffer();
  const image = sharp(turned);
  if (mirrored) image.flop();
  return image.withMetadata({ orientation }).toFormat(format).toBuffer();
}

/** The colours at the corners, read in rows. */
function cornersOf(pixels: Uint8Array, width: number, height: number): string {
  const at = (x: number, y: number): string => {
    const [red, green, blue] = pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3) as unknown as number[];
    const bright = [red! > 128, green! > 128, blue! > 128].map(Number).join("");
    return { "100": "red", "010": "green", "001": "blue", "111": "white" }[bright] ?? bright;
  };
  return [at(4, 4), at(width - 5, 4), at(4, height - 5), at(width - 5, height - 5)].join(" ");
}
