import assert from "node:assert/strict";
import { test } from "node:test";
import { openTfjsTrainer } from "../../connectors/trainer/tfjs.js";
import type { Architecture, Preparation } from "../../connectors/trainer/trainer.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import { networkFor, studentFor } from "../../pipelines/training/train-defaults.js";
import { evaluate, pretrainStudent, trainTeacher } from "../../pipelines/train.js";
import type { LabelledPixels } from "../../schemas/labelled-pixels.js";
import { letterImages, LETTERS, readLetters } from "../fixtures/letters.js";
import { TEXTURES, textures } from "../fixtures/textures.js";

interface Task {
  readonly side: number;
  readonly channels: 1 | 3;
  readonly steps: number;
  readonly labels: readonly string[];
  readonly labelled: LabelledPixels;
  readonly test: LabelledPixels;
}

/** As a teacher is trained, or a student on a version whose classes are right. */
async function trained(task: Task, train: "teacher" | "student", architecture?: Architecture) {
  const { side, channels, steps, labelled, test: unseen } = task;
  const trainer = await openTfjsTrainer({ backend: "wasm" });
  const preparation: Preparation = {
    input: { width: side, height: side, layout: "NHWC", colour: channels === 1 ? "grey" : "rgb" },
    resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
    normalise: measureNormalise(labelled.pixels, channels),
    labels: [...task.labels],
  };
  const losses: number[] = [];
  const notes: string[] = [];
  const options = {
    ...{ trainer, preparation, architecture, seed: 1, schedule: { steps, batch: 16 } },
    onLoss: (_phase: string, _step: number, loss: number) => void losses.push(loss),
    onNote: (text: string) => void notes.push(text),
  };
  const model = await (train === "teacher"
    ? trainTeacher({ ...options, labelled })
    : pretrainStudent({ ...options, version: labelled }));
  const { accuracy } = await evaluate({ model, test: unseen });
  model.dispose();
  return { losses, notes, accuracy };
}

function texturesOf(form: { readonly side: number; readonly channels: 1 | 3; readonly steps: number }): Task {
  const count = form.side > 40 ? 40 : 80;
  const [labelled, unseen] = [1, 2].map((seed) => textures({ ...form, count }, seed));
  return { ...form, labels: TEXTURES, labelled: labelled!, test: unseen! };
}

// In colour, and above 1,024 values, teacher and student have one network.
for (const form of [
  { side: 14, channels: 1, steps: 100 },
  { side: 28, channels: 3, steps: 60 },
  { side: 32, channels: 3, steps: 60 },
  { side: 96, channels: 1, steps: 30 },
  { side: 96, channels: 3, steps: 30 },
  { side: 128, channels: 1, steps: 30 },
  { side: 128, channels: 3, steps: 30 },
] as const) {
  test(`the defaults learn textures of ${form.side} px, ${form.channels === 1 ? "grey" : "in colour"}`, async () => {
    const { losses, notes, accuracy } = await trained(texturesOf(form), "teacher");
    assert.deepEqual(notes, [], "at the rate that the schedule says");
    assert.ok(Math.max(...losses) < 2 * Math.max(losses[0]!, Math.log(4)), `${Math.max(...losses)}`);
    assert.ok(accuracy > 0.6, `${accuracy}, by chance 0.25`);
  });
}

for (const { side, channels, steps, least } of [
  { side: 14, channels: 1, steps: 400, least: 0.25 },
  { side: 28, channels: 1, steps: 400, least: 0.25 },
] as const) {
  test(`the default student of ${side} px, grey, learns letters of fonts from a version`, async () => {
    const sheet = await readLetters();
    const [labelled, unseen] = [1, 2].map((seed) => letterImages(sheet, { side, channels, count: 600 }, seed));
    const task = { side, channels, steps, labels: LETTERS, labelled: labelled!, test: unseen! };
    const { losses, notes, accuracy } = await trained(task, "student");
    assert.deepEqual(notes, []);
    const last = losses.slice(-50).reduce((sum, loss) => sum + loss, 0) / 50;
    assert.ok(last < Math.log(LETTERS.length), `${last}, and ${Math.log(LETTERS.length)} by guessing`);
    assert.ok(accuracy > least, `${accuracy}, by chance 0.1`);
  });
}

test("a student is dense for small grey images only", () => {
  for (const [side, colour, kind] of [
    [14, "grey", "mlp"],
    [32, "grey", "mlp"],
    [33, "grey", "patch-conv"],
    [14, "rgb", "patch-conv"],
    [96, "rgb", "patch-conv"],
  ] as const) {
    assert.equal(studentFor({ width: side, height: side, colour }).kind, kind, `${side} px ${colour}`);
  }
});

test("a network without normalisation does not run away either: long gradients are cut", async () => {
  // Dense layers over 96 x 96 pixels in colour: the loss went from 2 to 2.6e14 in 112 steps.
  const task = texturesOf({ side: 96, channels: 3, steps: 25 });
  const { losses } = await trained(task, "teacher", { kind: "mlp", hidden: [16] });
  assert.ok(
    losses.every((loss) => loss < 20),
    losses.join(),
  );
});

test("the default network ends in few rows, whatever the size", () => {
  for (const side of [8, 14, 28, 32, 40, 41, 64, 96, 128]) {
    const network = networkFor({ width: side, height: side });
    assert.ok(network.kind === "patch-conv");
    const rows = Math.ceil(side / network.patch!) / 2 ** (network.channels.length - 1);
    assert.ok(rows > 0.5 && rows <= 3, `${side} px: ${rows}`);
  }
});
