import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { notesOf, planDecode, refuse, refuseDecoded } from "../../../operators/image/decode-plan.js";
import { decodeSchema, type DecodeConfig } from "../../../schemas/config.js";
import type { ImageHeader } from "../../../schemas/decode-plan.js";
import type { ModelCard } from "../../../schemas/model-card.js";

const HEADER: ImageHeader = {
  format: "jpeg",
  width: 500,
  height: 375,
  frames: 1,
  colourSpace: "srgb",
  bitsPerChannel: 8,
  orientation: 1,
  colourProfile: null,
};

function card(
  width: number,
  height: number,
  resize: Partial<ModelCard["resize"]> = {},
  colour: ModelCard["input"]["colour"] = "rgb",
): Pick<ModelCard, "input" | "resize"> {
  return {
    input: { width, height, layout: "NHWC", colour },
    resize: { kernel: "linear", mode: "crop", shrinkOnLoad: true, ...resize },
  };
}

describe("refuse", () => {
  const config = decodeSchema.parse({ strict: true });
  const uri = "file:///pictures/a.jpg";

  test("accepts an ordinary image", () => {
    assert.equal(refuse(HEADER, config, uri), null);
  });

  const policies: readonly [string, Partial<ImageHeader>, string, Partial<DecodeConfig>][] = [
    ["E_IMAGE_PIXELS", { width: 100_000, height: 100_000 }, "decode.maxPixels: 10000000000", { maxPixels: 1e10 }],
    ["E_IMAGE_TINY", { width: 7 }, "decode.minSide: 7", { minSide: 7 }],
    ["E_IMAGE_EXTENSION", { format: "png" }, "decode.wrongExtension: accept", { wrongExtension: "accept" }],
    ["E_IMAGE_ANIMATED", { frames: 2 }, "decode.animated: first-frame", { animated: "first-frame" }],
    ["E_IMAGE_CMYK", { colourSpace: "cmyk" }, "decode.cmyk: convert", { cmyk: "convert" }],
    ["E_IMAGE_DEPTH", { bitsPerChannel: 16 }, "decode.depth16: convert", { depth16: "convert" }],
  ];
  for (const [code, change, setting, accept] of policies) {
    test(`${code}: the reason names the setting, and the setting accepts the image`, () => {
      const header = { ...HEADER, ...change };
      const refusal = refuse(header, config, uri);
      assert.equal(refusal?.code, code);
      assert.ok(refusal.reason.includes(`set ${setting}, then \`sluice quarantine retry\``), refusal.reason);
      assert.equal(refuse(header, { ...config, ...accept }, uri), null);
    });
  }

  test("what is converted is noted, and nothing of an ordinary image", () => {
    const said = (change: Partial<ImageHeader>): string[] => {
      const header = { ...HEADER, ...change };
      return notesOf(header, planDecode(header, card(20, 20)), uri);
    };
    assert.deepEqual(said({}), []);
    for (const [note, change] of [
      ["wrong-extension", { format: "png" }],
      ["first-frame", { frames: 2 }],
      ["cmyk", { colourSpace: "cmyk" }],
      ["depth", { bitsPerChannel: 16 }],
      ["turned", { orientation: 8 }],
    ] as const) {
      assert.deepEqual(said(change), [note]);
    }
    assert.deepEqual(said({ format: "tiff", frames: 3, bitsPerChannel: 16 }), [
      "wrong-extension",
      "first-frame",
      "depth",
    ]);
  });

  test("by default uses what decodes, strictly refuses it, and each kind has its own setting", () => {
    const kinds: readonly [Partial<ImageHeader>, Partial<DecodeConfig>][] = [
      [{ format: "png" }, { wrongExtension: "quarantine" }],
      [{ frames: 2 }, { animated: "quarantine" }],
      [{ colourSpace: "cmyk" }, { cmyk: "quarantine" }],
      [{ bitsPerChannel: 16 }, { depth16: "quarantine" }],
    ];
    const wild = decodeSchema.parse({});
    for (const [change, setting] of kinds) {
      const header = { ...HEADER, ...change };
      assert.equal(refuse(header, wild, uri), null);
      assert.notEqual(refuse(header, config, uri), null);
      assert.notEqual(refuse(header, { ...wild, ...setting }, uri), null);
    }
    assert.equal(refuseDecoded(["no-end"], wild), null);
    assert.equal(refuseDecoded(["no-end"], config)?.code, "E_IMAGE_TRUNCATED");
    assert.equal(refuseDecoded(["alpha"], config), null);
  });

  test("a TIFF of several pages is refused unless the first is asked for, and camera raw always", () => {
    const pages = { ...HEADER, format: "tiff", frames: 2 };
    const where = "file:///a/b.tif";
    const wild = decodeSchema.parse({});
    assert.match(refuse(pages, wild, where)?.reason ?? "", /2 pages; to accept it set decode.animated: first-frame/);
    assert.equal(refuse(pages, { ...wild, animated: "first-frame" }, where), null);
    const raw = refuse({ ...HEADER, format: "tiff" }, wild, "file:///a/DSC_0001.NEF");
    assert.equal(raw?.code, "E_IMAGE_FORMAT");
    assert.match(raw.reason, /camera raw/);
  });

  test("holds exactly at the limits", () => {
    const limits = { ...config, maxPixels: 500 * 375, minSide: 375 };
    assert.equal(refuse(HEADER, limits, uri), null);
    assert.equal(refuse({ ...HEADER, width: 501 }, limits, uri)?.code, "E_IMAGE_PIXELS");
    assert.equal(refuse({ ...HEADER, height: 374 }, limits, uri)?.code, "E_IMAGE_TINY");
  });

  test("compares extensions of every kind of uri, and only those that name a format", () => {
    const code = (where: string, format: string): string | undefined =>
      refuse({ ...HEADER, format }, config, where)?.code;
    for (const [where, format] of [
      ["file:///a/b.JPG", "jpeg"],
      ["file:///a/b.jpeg", "jpeg"],
      ["file:///a/b.jfif", "jpeg"],
      ["file:///a.png/b", "jpeg"],
      ["file:///a/b.dat", "jpeg"],
      ["file:///a/b", "webp"],
      ["log://images/0/17", "jpeg"],
      ["tar:/data/x.tar#k/0001.png", "png"],
      ["tar:/data/x.tar?at=1536#k/0001.png", "png"],
      ["tar:/data.png/x.tar#0001", "jpeg"],
      ["https://example.org/a.png?name=b.jpg", "png"],
      ["https://example.org/a.tif#b.jpg", "tiff"],
      ["file:///a/b.heif", "avif"],
      ["file:///a/b.dib", "bmp"],
    ] as const) {
      assert.equal(code(where, format), undefined, `${where} ${format}`);
    }
    for (const [where, format] of [
      ["file:///a/b.JPG", "png"],
      ["file:///a/b.gif", "webp"],
      ["tar:/data/x.tar#k/0001.jpg", "png"],
      ["tar:/data/x.tar?at=1536#k/0001.jpg", "png"],
      ["https://example.org/a.png?name=b.jpg", "jpeg"],
    ] as const) {
      assert.equal(code(where, format), "E_IMAGE_EXTENSION", `${where} ${format}`);
    }
  });
});

describe("planDecode", () => {
  const size = fc.integer({ min: 1, max: 5000 });
  const side = fc.integer({ min: 1, max: 400 });

  test("crops as torchvision's Resize and CenterCrop do, wherever those fill the input", () => {
    fc.assert(
      fc.property(size, size, side, fc.integer({ min: 0, max: 200 }), (width, height, input, more) => {
        const shortSide = input + more;
        const plan = planDecode({ ...HEADER, width, height }, card(input, input, { shortSide }));
        // torchvision.transforms.functional: _compute_resized_output_size, center_crop
        const short = Math.min(width, height);
        const long = Math.max(width, height);
        const newLong = Math.trunc((shortSide * long) / short);
        const expected = width <= height ? [shortSide, newLong] : [newLong, shortSide];
        assert.deepEqual([plan.scaled.width, plan.scaled.height], expected);
        assert.equal(plan.crop.left, pythonRound((expected[0]! - input) / 2));
        assert.equal(plan.crop.top, pythonRound((expected[1]! - input) / 2));
        // transformers.image_transforms: center_crop
        const { crop } = planDecode({ ...HEADER, width, height }, card(input, input, { shortSide, oddRest: "lower" }));
        assert.deepEqual([crop.left, crop.top], [(expected[0]! - input) >> 1, (expected[1]! - input) >> 1]);
      }),
      { seed: 1 },
    );
  });

  test("never asks for pixels that are not there, and fills the output in each mode", () => {
    fc.assert(
      fc.property(
        size,
        size,
        side,
        side,
        fc.constantFrom("crop" as const, "stretch" as const, "pad" as const),
        fc.option(side),
        fc.integer({ min: 1, max: 8 }),
        (width, height, inputWidth, inputHeight, mode, shortSide, orientation) => {
          const resize = { mode, ...(shortSide === null ? {} : { shortSide }) };
          const plan = planDecode({ ...HEADER, width, height, orientation }, card(inputWidth, inputHeight, resize));
          const { scaled, crop, place, output } = plan;
          assert.deepEqual([output.width, output.height], [inputWidth, inputHeight]);
          assert.ok(crop.left >= 0 && crop.left + crop.width <= scaled.width);
          assert.ok(crop.top >= 0 && crop.top + crop.height <= scaled.height);
          assert.ok(crop.width >= 1 && crop.height >= 1);
          assert.ok(place.left >= 0 && place.left + crop.width <= output.width);
          assert.ok(place.top >= 0 && place.top + crop.height <= output.height);
          // A short side that the card says may leave the input unfilled, as in torchvision.
          if (mode !== "pad" && shortSide === null)
            assert.deepEqual([crop.width, crop.height], [inputWidth, inputHeight]);
          else if (mode === "pad") assert.ok(crop.width === inputWidth || crop.height === inputHeight);
          for (const value of [...Object.values(crop), ...Object.values(scaled), ...Object.values(place)]) {
            assert.ok(Number.isInteger(value));
          }
        },
      ),
      { seed: 2 },
    );
  });

  test("keeps the image's proportions to within a pixel, but for stretch", () => {
    fc.assert(
      fc.property(size, size, side, side, fc.constantFrom("crop" as const, "pad" as const), (w, h, inW, inH, mode) => {
        const { scaled } = planDecode({ ...HEADER, width: w, height: h }, card(inW, inH, { mode }));
        const exact = scaled.width * (h / w);
        const wide = scaled.height * (w / h);
        assert.ok(
          Math.abs(scaled.height - exact) <= 1 + 1e-9 || Math.abs(scaled.width - wide) <= 1 + 1e-9,
          JSON.stringify(scaled),
        );
      }),
      { seed: 3 },
    );
  });

  test("turns the sides of an image that lies on its side", () => {
    const lying = planDecode({ ...HEADER, width: 500, height: 375, orientation: 6 }, card(224, 224));
    const upright = planDecode({ ...HEADER, width: 375, height: 500 }, card(224, 224));
    assert.deepEqual({ ...lying, orientation: 1 }, upright);
    const asStored = planDecode(
      { ...HEADER, width: 375, height: 500, orientation: 6 },
      card(224, 224, { orientation: "ignore" }),
    );
    assert.deepEqual(asStored, upright);
  });

  test("asks for the channels, kernel and loading of the card", () => {
    const plan = planDecode(HEADER, card(28, 28, { kernel: "lanczos3", shrinkOnLoad: false }, "grey"));
    assert.deepEqual([plan.output.channels, plan.kernel, plan.shrinkOnLoad], [1, "lanczos3", false]);
    assert.equal(planDecode(HEADER, card(28, 28, {}, "bgr")).output.channels, 3);
  });
});

/** Python's round: a tie goes to the even number. */
function pythonRound(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

test("an image is stretched to more than the input and cropped to it, as DeiT's processor does", () => {
  const plan = planDecode(HEADER, card(224, 224, { mode: "stretch", shortSide: 256 }));
  assert.deepEqual(plan.scaled, { width: 256, height: 256 });
  assert.deepEqual(plan.crop, { left: 16, top: 16, width: 224, height: 224 });
  const wide = planDecode(HEADER, card(64, 32, { mode: "stretch", shortSide: 40 }));
  assert.deepEqual(wide.scaled, { width: 80, height: 40 });
  assert.deepEqual(wide.crop, { left: 8, top: 4, width: 64, height: 32 });
});
