import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import sharp from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../../connectors/engine/open.js";
import { predictedClasses } from "../../../operators/training/evaluation.js";
import { addTeacher, type AddedTeacher, type CardChoices } from "../../../pipelines/training/add-teacher.js";
import { decodeSchema, engineSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { withFolder } from "../../conformance/engine.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { squarePixels, writeSquare } from "../../fixtures/square-pictures.js";

const SIDE = 16;
const COUNT = 120;
const engine = engineSchema.parse({ workers: 1, batch: 32, isolation: "thread" });
const WAYS = {
  imagenet: { colour: "rgb", normalise: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } },
  unit: { colour: "rgb", normalise: { mean: [0], std: [1] } },
  symmetric: { colour: "rgb", normalise: { mean: [0.5], std: [0.5] } },
  "symmetric, BGR": { colour: "bgr", normalise: { mean: [0.5], std: [0.5] } },
} as const;

const pictures = Array.from({ length: COUNT }, (_, at) => squarePixels(SIDE, 500 + at));

/** What a model says of the pictures when it is fed in that way: another path than readings take */
async function answers(
  folder: string,
  card: ModelCard,
  way: keyof typeof WAYS,
  shown: readonly Uint8Array[] = pictures,
): Promise<Int32Array> {
  const { colour, normalise } = WAYS[way];
  const read: ModelCard = {
    ...card,
    input: { ...card.input, colour },
    normalise: { mean: [...normalise.mean], std: [...normalise.std] },
  };
  const opened = await openEngine({ card: read, folder }, engine);
  try {
    const pixels = Uint8Array.from(shown.flatMap((picture) => [...picture]));
    return predictedClasses(await opened.score({ count: COUNT, pixels }), card.labels.length);
  } finally {
    await opened.close();
  }
}

/** A bare model, and pictures in folders of the classes that it names when fed in a way. Returns its card for `answers`. */
async function plant(
  folder: string,
  way: keyof typeof WAYS,
  nameOf: (label: number) => string,
  net: { readonly format?: ModelCard["format"]; readonly classes?: number } = {},
): Promise<{ card: ModelCard; truth: Int32Array }> {
  const { card } = await writeSmallTeacher(folder, net.format ?? "onnx", {
    output: "logits",
    classes: net.classes ?? 10,
  });
  const truth = await answers(folder, card, way);
  await rm(join(folder, "model-card.json"));
  for (const [at, picture] of pictures.entries())
    await writeSquare(join(folder, "labelled"), `${nameOf(truth[at]!)}/${at}.png`, SIDE, picture);
  return { card, truth };
}

const add = (
  folder: string,
  choices: CardChoices = {},
  { takeBest = false, entry = "model.onnx", count = COUNT } = {},
): Promise<AddedTeacher> =>
  addTeacher({
    model: join(folder, entry),
    choices,
    overwrite: true,
    engine,
    decode: decodeSchema.parse({}),
    decoder: openSharpDecoder(),
    checkOn: { labelled: join(folder, "labelled"), count, takeBest },
  });

const STRETCH = { resize: { mode: "stretch" } } as const;

describe("labelled images tell how a model is read", () => {
  test("every open reading is measured; where another one is right, no card is written until it is said or taken", async () => {
    await withFolder(async (folder) => {
      const { card, truth } = await plant(folder, "symmetric, BGR", (label) => `class-${label}`);
      const refused = await add(folder, STRETCH);
      assert.equal(refused.written, false);
      assert.ok(!existsSync(refused.cardPath));
      const check = refused.check!;
      assert.equal(check.finding, "another");
      assert.deepEqual(check.flags, ["--normalise", "symmetric", "--colour", "bgr"]);
      assert.deepEqual([check.images, check.accuracy.best, check.questions.length], [COUNT, 1, 1]);
      const { readings } = check.questions[0]!;
      assert.equal(readings.length, 9);
      for (const way of ["imagenet", "unit", "symmetric", "symmetric, BGR"] as const) {
        const said = await answers(folder, card, way);
        const right = truth.filter((label, at) => said[at] === label).length;
        assert.equal(readings.find(({ name }) => name === way)?.right, right, way);
      }
      assert.deepEqual(
        readings.filter(({ isAssumed }) => isAssumed).map(({ name }) => name),
        ["imagenet"],
      );
      const commonest = Math.max(
        ...Array.from({ length: 10 }, (_, label) => truth.filter((one) => one === label).length),
      );
      assert.equal(check.chance, commonest / COUNT);

      const taken = await add(folder, { ...STRETCH, colour: "bgr" }, { takeBest: true });
      assert.equal(taken.written, true);
      const { colour, normalise } = WAYS["symmetric, BGR"];
      const said = await add(folder, {
        ...STRETCH,
        colour,
        normalise: { mean: [...normalise.mean], std: [...normalise.std] },
      });
      assert.equal(said.check!.finding, "stands");
      const { checked, ...unchecked } = taken.card;
      assert.ok(checked!.readings.length > 1);
      // It remembers the readings that were measured: here there was one alone.
      assert.deepEqual(said.card, { ...unchecked, checked: said.card.checked });
      assert.deepEqual(said.card.checked!.readings, [{ name: "symmetric, BGR", accuracy: 1 }]);
      assert.deepEqual(said.check!.questions[0]!.readings.length, 1);
    });
  });

  test("a TensorFlow model of which no file says how pixels look has its readings listed, and nothing is taken unasked", async () => {
    await withFolder(async (folder) => {
      await plant(folder, "unit", (label) => `class-${label}`, { format: "tfjs-layers", classes: 3 });
      const choices: CardChoices = { ...STRETCH, colour: "rgb" };
      const listed = await add(folder, choices, { entry: "model.json" });
      assert.deepEqual([listed.written, listed.check!.finding, listed.check!.accuracy.assumed], [false, "open", null]);
      assert.deepEqual(listed.check!.flags, ["--normalise", "unit"]);
      assert.deepEqual(
        listed.check!.questions[0]!.readings.map(({ name, isAssumed }) => [name, isAssumed]),
        ["imagenet", "unit", "symmetric", "bytes"].map((name) => [name, false]),
      );
      const taken = await add(folder, choices, { entry: "model.json", takeBest: true, count: 40 });
      assert.deepEqual(taken.card.normalise, { mean: [0], std: [1] });
      assert.doesNotMatch(taken.assumptions.join("\n"), /Pixels .*assumed/);
    });
  });

  test("classes without names are compared by the order of the folders, and take their names where asked", async () => {
    await withFolder(async (folder) => {
      const names = ["2", "9", "10"];
      await plant(folder, "unit", (label) => names[label]!, { classes: 3 });
      const unit: CardChoices = { ...STRETCH, normalise: { mean: [0], std: [1] }, colour: "rgb" };
      const { check, card } = await add(folder, unit);
      const orders = check!.questions.find(({ about }) => about === "order of the classes")!.readings;
      assert.deepEqual(
        orders.map(({ name, accuracy }) => [name, accuracy === 1]),
        [
          ["by code points (ImageFolder)", false],
          ["by their numbers", true],
        ],
      );
      assert.deepEqual([check!.labels, card.labels[1]], [names, "class-1"]);
      assert.match(check!.warnings.join("\n"), /called otherwise/);
      assert.deepEqual((await add(folder, unit, { takeBest: true })).card.labels, names);
    });
  });

  test("whether EXIF turns is told by pictures that it turns, and is no question elsewhere", async () => {
    await withFolder(async (folder) => {
      const { card } = await writeSmallTeacher(folder, "onnx", { output: "logits", classes: 4 });
      // Four colours, a quarter of the picture each: turned, they are others.
      const stored = pictures.map((_, at) => {
        const quarters = [0, 1, 2, 3].map((quarter) => squarePixels(SIDE, 4 * at + quarter + 9000));
        return Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, value) => {
          const x = Math.floor(value / 3) % SIDE;
          const y = Math.floor(value / 3 / SIDE);
          return quarters[(2 * x >= SIDE ? 1 : 0) + (2 * y >= SIDE ? 2 : 0)]![value]!;
        });
      });
      const truth = await answers(folder, card, "unit", stored);
      await rm(join(folder, "model-card.json"));
      for (const [at, picture] of stored.entries()) {
        const path = join(folder, "labelled", `class-${truth[at]!}`, `${at}.jpg`);
        await mkdir(dirname(path), { recursive: true });
        const raw = sharp(picture, { raw: { width: SIDE, height: SIDE, channels: 3 } });
        await writeFile(
          path,
          await raw.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).withMetadata({ orientation: 6 }).toBuffer(),
        );
      }
      const unit: CardChoices = { ...STRETCH, normalise: { mean: [0], std: [1] }, colour: "rgb" };
      const { check, written } = await add(folder, unit);
      assert.deepEqual([check!.finding, written, check!.flags], ["another", false, ["--orientation", "ignore"]]);
      const opening = check!.questions.find(({ about }) => about === "opening the pictures")!.readings;
      assert.deepEqual(
        opening.map(({ name, isAssumed, flags }) => [name, isAssumed, flags]),
        [
          ["turned by EXIF, on black", true, []],
          ["not turned by EXIF", false, ["--orientation", "ignore"]],
        ],
      );
      assert.ok(opening[1]!.accuracy! > 0.9 && opening[0]!.accuracy! < opening[1]!.accuracy!);
      const said = await add(folder, { ...unit, resize: { mode: "stretch", orientation: "ignore" } });
      assert.equal(said.check!.finding, "stands");
      assert.equal(
        said.check!.questions.find(({ about }) => about === "opening the pictures"),
        undefined,
      );
      assert.match(
        said.assumptions.join("\n"),
        /not turned by EXIF \(as said\), and transparency becomes black \(assumed/,
      );
      const taken = await add(folder, unit, { takeBest: true });
      assert.equal(taken.card.resize.orientation, "ignore");
    });
  });

  test("where nothing is better than guessing no card is written; few images are warned of; other classes are refused", async () => {
    await withFolder(async (folder) => {
      await plant(folder, "unit", (label) => `class-${(label + 1) % 3}`, { classes: 3 });
      const unit: CardChoices = { ...STRETCH, normalise: { mean: [0], std: [1] }, colour: "rgb" };
      const { check, written } = await add(folder, unit, { takeBest: true, count: 30 });
      assert.deepEqual([check!.finding, written, check!.images, check!.accuracy.best], ["chance", false, 30, 0]);
      assert.match(check!.warnings.join("\n"), /Only 30 images/);
      const labelled = join(folder, "labelled");
      await rename(join(labelled, "class-2"), join(labelled, "unknown"));
      await rm(join(labelled, "class-1"), { recursive: true });
      await writeSquare(labelled, "a/1.png", SIDE, pictures[0]!);
      await writeSquare(labelled, "b/1.png", SIDE, pictures[1]!);
      await writeSquare(labelled, "c/1.png", SIDE, pictures[1]!);
      await assert.rejects(add(folder, unit), (error) => {
        assert.ok(isSluiceError(error, "E_TRAIN_DATA"), String(error));
        assert.match(error.message, /model's 3, or to be as many, found 5, and among them a, b, c\./);
        return true;
      });
    });
  });
});
