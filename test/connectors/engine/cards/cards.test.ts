import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readPreprocessing, readModelConfig } from "../../../../connectors/engine/teacher/cards/hugging-face.js";
import { readOnnxMetadata } from "../../../../connectors/engine/teacher/cards/onnx-metadata.js";
import { readPythonLiteral } from "../../../../connectors/engine/teacher/cards/python-literal.js";
import { readTeachableMachine } from "../../../../connectors/engine/teacher/cards/teachable-machine.js";
import { readTimm } from "../../../../connectors/engine/teacher/cards/timm.js";
import type { Size, ToldCard } from "../../../../connectors/engine/teacher/cards/told-card.js";

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const square = (side: number): Size => ({ width: side, height: side });
const resizeOf = (card: ToldCard | null, side = 224): unknown => card?.resize?.(square(side));

function assertNear(found: ToldCard | null, mean: readonly number[], std: readonly number[]): void {
  const { normalise } = found ?? {};
  assert.ok(normalise !== undefined);
  for (const [own, expected] of [
    [normalise.mean, mean],
    [normalise.std, std],
  ] as const) {
    assert.equal(own.length, expected.length);
    own.forEach((value, at) => {
      assert.ok(Math.abs(value - expected[at]!) < 1e-9, `${value} for ${expected[at]}`);
    });
  }
}

describe("timm's config.json", () => {
  const cfg = { input_size: [3, 224, 224], interpolation: "bicubic", crop_pct: 0.95, crop_mode: "center", ...imagenet };

  test("pretrained_cfg says size, normalisation, kernel and crop fraction", () => {
    const card = readTimm(
      { architecture: "resnet50", num_classes: 3, pretrained_cfg: { ...cfg, label_names: ["a", "b", "c"] } },
      "config.json",
    );
    assert.deepEqual(card?.size, square(224));
    assertNear(card, imagenet.mean, imagenet.std);
    assert.deepEqual(card.labels, ["a", "b", "c"]);
    // timm: floor(224 / 0.95) = 235
    assert.deepEqual(resizeOf(card), { mode: "crop", kernel: "cubic", shortSide: 235 });
    assert.deepEqual(card.opening, { orientation: "ignore", alpha: "drop" });
    assert.deepEqual(resizeOf(card, 288), { mode: "crop", kernel: "cubic", shortSide: 303 });
  });

  test("so do the same members on top, and timm's own defaults where they are left out", () => {
    const card = readTimm(
      { architecture: "vit", input_size: [3, 384, 384], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], crop_pct: 1 },
      "config.json",
    );
    assertNear(card, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]);
    assert.deepEqual(resizeOf(card, 384), { mode: "crop", kernel: "cubic", shortSide: 384 });
    assert.deepEqual(resizeOf(readTimm({ pretrained_cfg: {} }, "c")), {
      mode: "crop",
      kernel: "cubic",
      shortSide: 256,
    });
  });

  test("a squash is a stretch; a border is not done here", () => {
    const of = (more: object): unknown => resizeOf(readTimm({ pretrained_cfg: { ...cfg, ...more } }, "c"));
    assert.deepEqual(of({ crop_mode: "squash", crop_pct: 1 }), { mode: "stretch", kernel: "cubic" });
    assert.deepEqual(of({ crop_mode: "squash", crop_pct: 0.9 }), { mode: "stretch", kernel: "cubic", shortSide: 248 });
    assert.deepEqual(of({ crop_mode: "border" }), { refused: 'crop_mode "border"' });
    assert.deepEqual(of({ interpolation: "random" }), { refused: 'interpolation "random"' });
  });

  test("an input that is not square is scaled in a way that is not done here", () => {
    assert.deepEqual(readTimm({ pretrained_cfg: cfg }, "c")?.resize?.({ width: 320, height: 224 }), {
      refused: "crop_mode center of an input that is not square",
    });
  });
});

describe("transformers' preprocessor_config.json", () => {
  const half = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], do_normalize: true };
  const read = (json: object): ToldCard | null => readPreprocessing(json as never, "preprocessor_config.json");
  const cases: readonly (readonly [string, object, Size, unknown])[] = [
    [
      "ViT, size as an object",
      { image_processor_type: "ViTImageProcessor", size: { height: 224, width: 224 }, resample: 2 },
      square(224),
      { mode: "stretch", kernel: "linear" },
    ],
    [
      "ViT, size as a number",
      { feature_extractor_type: "ViTFeatureExtractor", size: 384, resample: 3 },
      square(384),
      { mode: "stretch", kernel: "cubic" },
    ],
    [
      "DeiT, stretched and cropped",
      {
        image_processor_type: "DeiTImageProcessor",
        size: { height: 256, width: 256 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
        resample: 3,
      },
      square(224),
      { mode: "stretch", kernel: "cubic", shortSide: 256, oddRest: "lower" },
    ],
    [
      "ConvNext below 384 px",
      { image_processor_type: "ConvNextImageProcessor", size: { shortest_edge: 224 }, crop_pct: 0.875, resample: 3 },
      square(224),
      { mode: "crop", kernel: "cubic", shortSide: 256, oddRest: "lower" },
    ],
    [
      "ConvNext of 384 px",
      { image_processor_type: "ConvNextImageProcessor", size: { shortest_edge: 384 }, crop_pct: 0.875, resample: 3 },
      square(384),
      { mode: "stretch", kernel: "cubic" },
    ],
    [
      "ConvNext, an old file",
      { feature_extractor_type: "ConvNextFeatureExtractor", size: 224, crop_pct: 0.875, resample: 3 },
      square(224),
      { mode: "crop", kernel: "cubic", shortSide: 256, oddRest: "lower" },
    ],
    [
      "MobileNet",
      {
        image_processor_type: "MobileNetV2ImageProcessor",
        size: { shortest_edge: 256 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
        resample: 2,
      },
      square(224),
      { mode: "crop", kernel: "linear", shortSide: 256, oddRest: "lower" },
    ],
    [
      "CLIP, numbers",
      { feature_extractor_type: "CLIPFeatureExtractor", size: 224, do_center_crop: true, crop_size: 224, resample: 3 },
      square(224),
      { mode: "crop", kernel: "cubic", shortSide: 224, oddRest: "lower" },
    ],
    [
      "LeViT",
      {
        image_processor_type: "LevitImageProcessor",
        size: { shortest_edge: 224 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
        resample: 3,
      },
      square(224),
      { mode: "crop", kernel: "cubic", shortSide: 256, oddRest: "lower" },
    ],
  ];
  for (const [name, json, size, resize] of cases) {
    test(name, () => {
      const card = read({ ...half, ...json });
      assert.deepEqual(card?.size, size);
      assert.deepEqual(resizeOf(card, size.width), resize);
      assertNear(card, half.image_mean, half.image_std);
    });
  }

  test("members that are null are not said", () => {
    const nulls = { crop_size: null, do_center_crop: null, do_pad: null, crop_pct: null, pad_size: null };
    const card = read({
      ...half,
      ...nulls,
      image_processor_type: "ConvNextImageProcessorFast",
      size: { shortest_edge: 224, longest_edge: null },
      resample: 3,
    });
    assert.deepEqual(resizeOf(card), { mode: "crop", kernel: "cubic", shortSide: 256, oddRest: "lower" });
  });

  test("timm's wrapper is timm's to read; what crops before it resizes is named", () => {
    assert.equal(
      read({
        image_processor_type: "TimmWrapperImageProcessor",
        pretrained_cfg: { crop_pct: 0.9 },
        architecture: "vit",
      }),
      null,
    );
    const perceiver = { ...half, image_processor_type: "PerceiverImageProcessor", size: 224, crop_size: 256 };
    assert.match(JSON.stringify(resizeOf(read(perceiver))), /Perceiver/);
  });

  test("rescaling, or none, is part of the normalisation", () => {
    const vit = { image_processor_type: "ViTImageProcessor", size: 224 };
    assertNear(read({ ...vit, do_rescale: true, rescale_factor: 1 / 255, do_normalize: false }), [0], [1]);
    assertNear(read({ ...vit, ...half, rescale_factor: 1 / 127.5 }), [0.25, 0.25, 0.25], [0.25, 0.25, 0.25]);
    assertNear(
      read({ ...vit, do_rescale: false, do_normalize: true, image_mean: [123, 117, 104], image_std: [1, 1, 1] }),
      [123 / 255, 117 / 255, 104 / 255],
      [1 / 255, 1 / 255, 1 / 255],
    );
    assertNear(
      read({ ...half, image_processor_type: "EfficientNetImageProcessor", size: { height: 346, width: 346 } }),
      [0.5, 0.5, 0.5],
      [0.25, 0.25, 0.25],
    );
    // Its processor has no such step; transformers 5 writes the means of its base class into the file all the same.
    const mobile = { do_flip_channel_order: true, size: { shortest_edge: 288 }, crop_size: 256 };
    assertNear(read({ ...mobile, ...half, image_processor_type: "MobileViTImageProcessor" }), [0], [1]);
    assertNear(read({ ...mobile, feature_extractor_type: "MobileViTFeatureExtractor" }), [0], [1]);
    assert.equal(read({ ...vit, do_normalize: true })?.normalise, undefined);
  });

  test("BGR is read, and what is not done here is named", () => {
    assert.equal(read({ ...half, do_flip_channel_order: true })?.colour, "bgr");
    assert.deepEqual(resizeOf(read({ ...half, size: 224, resample: 9 })), { refused: "resample 9" });
    assert.match(JSON.stringify(resizeOf(read({ ...half, size: { longest_edge: 384 } }))), /longest_edge/);
    assert.match(JSON.stringify(resizeOf(read({ ...half, do_resize: false, size: 224 }))), /do_resize/);
  });

  test("config.json has the classes, and whether they are independent", () => {
    const card = readModelConfig(
      {
        model_type: "vit",
        id2label: { "1": "dog", "0": "cat", "2": "cow" },
        problem_type: "multi_label_classification",
      },
      "config.json",
    );
    assert.deepEqual(card?.labels, ["cat", "dog", "cow"]);
    assert.equal(card.kind, "sigmoid-logits");
    assert.deepEqual(readModelConfig({ model_type: "vit", label2id: { dog: 1, cat: 0 } }, "c")?.labels, ["cat", "dog"]);
    assert.equal(readModelConfig({ model_type: "vit", id2label: { "0": "a", "7": "b" } }, "c")?.labels, undefined);
  });
});

describe("metadata of an ONNX file", () => {
  const read = (metadata: Record<string, string>): ToldCard[] => readOnnxMetadata(new Map(Object.entries(metadata)));

  test("Ultralytics: names as Python writes them, pixels of 0 to 1", () => {
    const [card] = read({
      task: "classify",
      stride: "1",
      imgsz: "[224, 320]",
      names: "{0: 'tench', 1: \"rock 'n' roll\", 2: 'a, b'}",
      author: "Ultralytics",
    });
    assert.deepEqual(card?.labels, ["tench", "rock 'n' roll", "a, b"]);
    assert.deepEqual(card.size, { width: 320, height: 224 });
    assertNear(card, [0], [1]);
    assert.deepEqual(resizeOf(card), { mode: "crop", kernel: "linear", shortSide: 224 });
    assert.deepEqual(card.resize?.({ width: 320, height: 224 }), { mode: "stretch", kernel: "linear" });
    assert.deepEqual(card.opening, { alpha: "drop" });
    assert.match(read({ task: "detect", stride: "32", names: "{0: 'person'}" })[0]?.refused ?? "", /task detect/);
  });

  test("usual names of labels, means and sizes; JSON of the tools above; what WinML says", () => {
    for (const value of ['["cat", "dog"]', "cat,dog", '{"0": "cat", "1": "dog"}', "['cat', 'dog']", "cat\ndog"])
      assert.deepEqual(read({ class_names: value })[0]?.labels, ["cat", "dog"], value);
    const [plain] = read({ mean: "0.5,0.5,0.5", std: "[0.25, 0.25, 0.25]", input_size: "[3, 32, 48]" });
    assertNear(plain ?? null, [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]);
    assert.deepEqual(plain?.size, { width: 48, height: 32 });
    assertNear(
      read({ mean: "[123, 117, 104]", std: "[58, 57, 57]" })[0] ?? null,
      [123 / 255, 117 / 255, 104 / 255],
      [58 / 255, 57 / 255, 57 / 255],
    );
    assert.deepEqual(read({ config: '{"model_type": "vit", "id2label": {"0": "cat", "1": "dog"}}' })[0]?.labels, [
      "cat",
      "dog",
    ]);
    const [winml] = read({ "Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255" });
    assert.equal(winml?.colour, "bgr");
    assertNear(winml, [0], [1 / 255]);
    assert.match(read({ "Image.NominalPixelRange": "NominalRange_16_235" })[0]?.refused ?? "", /16_235/);
    assert.deepEqual(read({ producer: "somebody" }), []);
  });

  test("Python's literals, and nothing else", () => {
    assert.deepEqual(readPythonLiteral(" [1, -2.5, True, None, ('a', \"b\"),] "), [1, -2.5, true, null, ["a", "b"]]);
    assert.deepEqual(readPythonLiteral("{'k': {1: 'it\\'s \\u00e9'}}"), new Map([["k", new Map([[1, "it's é"]])]]));
    for (const text of ["__import__('os')", "[1", "{1 2}", "'open", "[1] 2", ""])
      assert.equal(readPythonLiteral(text), null, text);
  });
});

test("Teachable Machine's metadata.json", () => {
  const card = readTeachableMachine(
    { tmVersion: "2.4.7", packageName: "@teachablemachine/image", labels: ["a", "b"], imageSize: 224 },
    "metadata.json",
  );
  assert.deepEqual(card?.labels, ["a", "b"]);
  assert.deepEqual(card.size, square(224));
  assertNear(card, [0.5], [0.5]);
  assert.equal(readTeachableMachine({ name: "x" }, "metadata.json"), null);
});
