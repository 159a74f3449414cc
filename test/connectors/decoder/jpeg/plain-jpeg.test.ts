import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import sharp, { type Sharp } from "sharp";
import { readImageHeader } from "../../../../connectors/decoder/headers/image-header.js";
import { loadPlainJpeg, type LoadedJpeg } from "../../../../connectors/decoder/jpeg/plain-jpeg.js";
import { Resampler } from "../../../../connectors/decoder/resample/resampler.js";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { turbojpeg } from "../../../../connectors/decoder/jpeg/turbojpeg.js";
import { planDecode } from "../../../../operators/image/decode-plan.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { assertClose, view } from "../../../conformance/decoder.js";
import { picture } from "../../../fixtures/make-images.js";
import { ways } from "../ways.js";

const { skip } = ways[1];

describe("ordinary JPEG by libjpeg-turbo", { skip }, () => {
  const alone = openSharpDecoder({ turbojpeg: "off" });
  const short = openSharpDecoder({ turbojpeg: "auto" });
  const place = { jpeg: turbojpeg()!.open(false), resampler: new Resampler() };
  const loadPlain = async (bytes: Uint8Array, card: ReturnType<typeof view>): Promise<LoadedJpeg | null> => {
    const header = await readImageHeader(bytes);
    return loadPlainJpeg(place.jpeg, place.resampler, bytes, header, planDecode(header, card));
  };

  test("the name says which way is taken", () => {
    assert.match(short.name, /libjpeg-turbo/);
    assert.doesNotMatch(alone.name, /libjpeg-turbo/);
  });

  test("gives what libvips gives, to the bit, scaled and not; nearly that where it is loaded at a fraction", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          width: fc.integer({ min: 16, max: 300 }),
          height: fc.integer({ min: 16, max: 300 }),
          seed: fc.integer({ min: 1, max: 1000 }),
          orientation: fc.integer({ min: 1, max: 8 }),
          chromaSubsampling: fc.constantFrom("4:4:4", "4:2:0"),
          progressive: fc.boolean(),
          profile: fc.constantFrom("none", "srgb", "p3"),
          grey: fc.boolean(),
          mode: fc.constantFrom("crop", "pad", "stretch"),
          kernel: fc.constantFrom("nearest", "box", "linear", "hamming", "cubic", "lanczos3"),
          colour: fc.constantFrom("rgb", "grey"),
          shrinkOnLoad: fc.boolean(),
          side: fc.integer({ min: 16, max: 100 }),
        }),
        async (made) => {
          const { width, height, orientation, chromaSubsampling, progressive, mode, kernel, colour } = made;
          const image = picture(width, height, made.seed).withMetadata({ orientation });
          if (made.grey) image.toColourspace("b-w");
          else if (made.profile !== "none") image.withIccProfile(made.profile);
          const bytes = await image.jpeg({ chromaSubsampling, progressive, quality: 90 }).toBuffer();
          const header = await readImageHeader(bytes);
          const turned = header.orientation >= 5;
          const same = view(turned ? height : width, turned ? width : height, { colour });
          const exact = planDecode(header, same);
          assert.ok((await loadPlain(bytes, same)) !== null, "taken by the short way");
          const found = await short.decode(bytes, header, exact);
          assert.deepEqual(Buffer.from(found.pixels), Buffer.from((await alone.decode(bytes, header, exact)).pixels));

          const { side, shrinkOnLoad } = made;
          const planOf = (shrinks: boolean) =>
            planDecode(header, view(side, side, { colour }, { mode, kernel, shrinkOnLoad: shrinks }));
          const one = await short.decode(bytes, header, planOf(shrinkOnLoad));
          const other = await alone.decode(bytes, header, planOf(false));
          if (shrinkOnLoad) assertClose(one.pixels, other.pixels, 128, 10, "shrunk on load");
          else assert.deepEqual(Buffer.from(one.pixels), Buffer.from(other.pixels));
        },
      ),
      // The seed, for the bound where images are loaded at a fraction.
      { numRuns: 60, seed: 1 },
    );
  });

  test("files that are not ordinary are left to libvips, and large ones are scaled by strips", async () => {
    const image = (): Sharp => picture(60, 40);
    const plain = await image().jpeg().toBuffer();
    const own = view(60, 40);
    assert.equal((await loadPlain(plain, view(20, 20)))?.kind, "scaled");
    assert.equal((await loadPlain(plain, view(90, 90)))?.kind, "scaled");
    const large = await sharp({ create: { width: 2001, height: 2000, channels: 3, background: "red" } })
      .jpeg()
      .toBuffer();
    assert.equal((await loadPlain(large, view(20, 20)))?.kind, "stored");
    const others: Readonly<Record<string, readonly [Uint8Array, ReturnType<typeof view>]>> = {
      CMYK: [await image().toColourspace("cmyk").jpeg().toBuffer(), own],
      damaged: [Buffer.concat([plain.subarray(0, 700), new Uint8Array(60).fill(7), plain.subarray(760)]), own],
      PNG: [await image().png().toBuffer(), own],
    };
    for (const [name, [bytes, card]] of Object.entries(others)) {
      assert.equal(await loadPlain(bytes, card), null, name);
    }
  });

  test("a damaged file is refused or accepted as libvips does it, whatever is damaged", async () => {
    const files = await Promise.all([
      picture(90, 70).jpeg().toBuffer(),
      picture(90, 70).jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
      picture(90, 70).toColourspace("b-w").jpeg({ quality: 50 }).toBuffer(),
    ]);
    const outcome = async (decoder: typeof alone, bytes: Uint8Array): Promise<string | Uint8Array> => {
      try {
        const header = await decoder.header(bytes);
        // A damaged size may promise anything; policies refuse it before it is decoded.
        if (header.width * header.height > 1_000_000) return "too large";
        return (await decoder.decode(bytes, header, planDecode(header, view(32, 32)))).pixels;
      } catch (error) {
        if (!isSluiceError(error)) throw error;
        return error.code;
      }
    };
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.record({ at: fc.noBias(fc.nat({ max: 100_000 })), to: fc.nat({ max: 255 }) }), {
          minLength: 1,
          maxLength: 4,
        }),
        async (file, changes) => {
          const bytes = Buffer.from(file);
          for (const { at, to } of changes) bytes[at % bytes.length] = to;
          const [found, expected] = [await outcome(short, bytes), await outcome(alone, bytes)];
          seen.add(typeof found === "string" ? found : "decoded");
          if (typeof found === "string" || typeof expected === "string") assert.equal(found, expected);
          else assertClose(found, expected, 255, 12, "of the same damaged picture");
        },
      ),
      { numRuns: 300 },
    );
    assert.ok(seen.has("decoded") && seen.has("E_IMAGE_CORRUPT"), [...seen].join(", "));
  });

  test("one image at a time in each place, however many are asked for at once", async () => {
    const images = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        picture(200 + 20 * at, 150, at + 1)
          .jpeg()
          .toBuffer(),
      ),
    );
    const one = async (bytes: Uint8Array): Promise<Uint8Array> => {
      const header = await readImageHeader(bytes);
      return (await short.decode(bytes, header, planDecode(header, view(64, 64)))).pixels;
    };
    const inTurn: Uint8Array[] = [];
    for (const bytes of images) inTurn.push(await one(bytes));
    assert.deepEqual(await Promise.all(images.map(one)), inTurn);
  });
});
