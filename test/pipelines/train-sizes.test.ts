import assert from "node:assert/strict";
import { test } from "node:test";
import { openTfjsTrainer } from "../../connectors/trainer/tfjs.js";
import type { Architecture, Preparation } from "../../connectors/trainer/trainer.js";
import { measureNormalise } from "../../operators/training/pixel-statistics.js";
import { networkFor } from "../../pipelines/training/train-defaults.js";
import { evaluate, trainTeacher } from "../../pipelines/train.js";
import { TEXTURES, textures } from "../fixtures/textures.js";

async function trained(
  { side, channels, steps }: { side: number; channels: 1 | 3; steps: number },
  architecture?: Architecture,
) {
  const trainer = await openTfjsTrainer({ backend: "wasm" });
  const labelled = textures({ side, channels, count: 80 }, 1);
  const preparation: Preparation = {
    input: { width: side, height: side, layout: "NHWC", colour: channels === 1 ? "grey" : "rgb" },
    resize: { kernel: "linear", mode: "stretch", shrinkOnLoad: false },
    normalise: measureNormalise(labelled.pixels, channels),
    labels: [...TEXTURES],
  };
  const losses: number[] = [];
  const notes: string[] = [];
  const model = await trainTeacher({
    trainer,
    preparation,
    labelled,
    architecture,
    seed: 1,
    schedule: { steps, batch: 16 },
    onProgress: ({ loss }) => void losses.push(loss!),
    onNote: (text) => void notes.push(text),
  });
  const test = textures({ side, channels, count: 100 }, 2);
  const { accuracy } = await evaluate({ model, test });
  model.dispose();
  return { losses, notes, accuracy };
}

for (const { side, channels, steps } of [
  { side: 14, channels: 1, steps: 100 },
  { side: 28, channels: 3, steps: 60 },
  { side: 96, channels: 3, steps: 30 },
] as const) {
  test(`the defaults learn textures of ${side} px, ${channels === 1 ? "grey" : "in colour"}`, async () => {
    const { losses, notes, accuracy } = await trained({ side, channels, steps });
    assert.deepEqual(notes, [], "at the rate that the schedule says");
    assert.ok(Math.max(...losses) < 2 * Math.max(losses[0]!, Math.log(4)), `${Math.max(...losses)}`);
    assert.ok(accuracy > 0.6, `${accuracy}, by chance 0.25`);
  });
}

test("a network without normalisation does not run away either: long gradients are cut", async () => {
  // Dense layers over 96 x 96 pixels in colour: the loss went from 2 to 2.6e14 in 112 steps.
  const { losses } = await trained({ side: 96, channels: 3, steps: 25 }, { kind: "mlp", hidden: [16] });
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
