import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runProgram } from "../../cli/program.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { squarePixels, writeSquare } from "../fixtures/square-pictures.js";
import { recordedTerminal } from "./recorded-terminal.js";

let folder = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-teacher-commands-"));
  await writeSmallTeacher(folder, "onnx");
  await rm(join(folder, "model-card.json"));
  await writeFile(join(folder, "names.txt"), Array.from({ length: 10 }, (_, at) => `kind ${at}`).join("\n"));
  for (let at = 0; at < 24; at++) {
    await writeSquare(join(folder, "labelled"), `kind ${at % 2}/picture ${at}.png`, 16, squarePixels(16, at));
  }
});

after(() => rm(folder, { recursive: true }));

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = recordedTerminal({ folder });
  const code = await runProgram(args, terminal);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

test("flags go into the card, images are shown by their names, and the card is calibrated", async () => {
  const flags = ["--labels", "names.txt", "--normalise", "symmetric", "--resize", "stretch", "--kernel", "cubic"];
  const added = await sluice("teacher", "add", "model.onnx", ...flags, "--try", "labelled", "--try-count", "2");
  assert.equal(added.code, 0, added.err);
  assert.match(added.out, /^picture 0\.png +kind \d/m);
  assert.equal(added.out.match(/^picture/gm)?.length, 2);
  const path = join(folder, "model.card.json");
  const card = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  assert.deepEqual(card["normalise"], { mean: [0.5], std: [0.5] });
  assert.deepEqual(card["resize"], { kernel: "cubic", mode: "stretch", shrinkOnLoad: false });
  assert.equal((card["labels"] as string[])[9], "kind 9");

  const again = await sluice("teacher", "add", "model.onnx", "--json");
  assert.notEqual(again.code, 0);
  assert.equal((JSON.parse(again.out) as { error: { code: string } }).error.code, "E_TEACHER_CARD");

  const calibrated = await sluice("teacher", "calibrate", "model.onnx", "--on", "labelled", "--json");
  assert.equal(calibrated.code, 0, calibrated.err);
  const result = JSON.parse(calibrated.out) as {
    count: number;
    before: { nll: number };
    after: { nll: number; temperature: number };
  };
  assert.equal(result.count, 24);
  assert.ok(result.after.nll <= result.before.nll);
  assert.equal(
    (JSON.parse(await readFile(path, "utf8")) as { temperature: number }).temperature,
    result.after.temperature,
  );
});

test("every member of a card has its flag", async () => {
  const { code, err, out } = await sluice(
    ...["teacher", "add", "model.onnx", "--overwrite", "--normalise", "unit", "--name", "mine", "--no-antialias"],
    ...["--orientation", "ignore", "--alpha", "drop", "--colour-profile", "convert", "--shrink-on-load"],
    ...["--odd-rest", "lower", "--short-side", "20", "--fixed-batch", "4", "--temperature", "1.7"],
  );
  assert.equal(code, 0, err);
  assert.match(out, /Pictures are not turned by EXIF, and transparency is dropped \(as said\)\./);
  const card = JSON.parse(await readFile(join(folder, "model.card.json"), "utf8")) as Record<string, unknown>;
  assert.deepEqual(card["resize"], {
    kernel: "linear",
    mode: "crop",
    shortSide: 20,
    shrinkOnLoad: true,
    antialias: false,
    oddRest: "lower",
    orientation: "ignore",
    alpha: "drop",
    colourProfile: "convert",
  });
  assert.deepEqual([card["name"], card["temperature"]], ["mine", 1.7]);
  assert.equal((card["input"] as Record<string, unknown>)["fixedBatch"], 4);
});

test("what is wrong with a flag is said as that, and nothing is written", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["add", "model.onnx", "--size", "big"], /--size.*such as 224 or 320x240/],
    [["add", "model.onnx", "--mean", "1,2"], /--mean.*one number, or three/],
    [["add", "model.onnx", "--mean", "0.5"], /--mean and --std together/],
    [["add", "model.onnx", "--normalise", "magic"], /--normalise.*imagenet/],
    [["add"], /model/],
    [["calibrate", "model.onnx"], /--on/],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await sluice("teacher", ...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
  const { code, err } = await sluice("teacher", "add", "model.onnx", "--overwrite", "--labels", "absent.txt");
  assert.notEqual(code, 0);
  assert.match(err, /E_TEACHER_LABELS.*absent\.txt/);
});

test("labelled images tell what was assumed: as a table with flags, as JSON, and not without images", async () => {
  const add = ["teacher", "add", "model.onnx", "--labels", "names.txt", "--resize", "stretch", "--overwrite"];
  // Two folders of pictures that have nothing to do with their names: no reading can be better than guessing.
  const { code, out } = await sluice(...add, "--normalise", "unit", "--colour", "rgb", "--on", "labelled");
  assert.equal(code, 1);
  assert.match(out, /^Right on 24 labelled images of 2 classes \(always the commonest: 50\.0 %\):$/m);
  assert.match(out, /^pixels +right +say$/m);
  assert.match(out, /Only 24 images.*\n.*No reading is better than guessing/);
  assert.match(out, /^No card was written\.$/m);
  const json = await sluice(...add, "--normalise", "unit", "--colour", "rgb", "--on", "labelled", "--json");
  const { written, check } = JSON.parse(json.out) as { written: boolean; check: { finding: string; images: number } };
  assert.deepEqual([json.code, written, check.finding, check.images], [1, false, "chance", 24]);
  const without = await sluice(...add, "--take", "best");
  assert.equal(without.code, 2);
  assert.match(without.err, /--on with --take best/);
});
