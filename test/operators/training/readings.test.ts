import assert from "node:assert/strict";
import { test } from "node:test";
import { labelOrders } from "../../../operators/select/label-orders.js";
import {
  geometryReadings,
  isAboveChance,
  isClearlyBetter,
  openingReadings,
  pixelReadings,
} from "../../../operators/training/readings.js";
import { modelCardSchema } from "../../../schemas/model-card.js";

const CLOSED = { normalise: false, colour: false, size: false, resize: false };
const { input, normalise, resize } = modelCardSchema.pick({ input: true, normalise: true, resize: true }).parse({
  input: { width: 224, height: 224, colour: "rgb", layout: "NCHW" },
  normalise: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  resize: { mode: "crop", shortSide: 256 },
});
const card = { input, normalise, resize };

test("only what is open is read in other ways, what the card has first", () => {
  assert.deepEqual(
    pixelReadings(card, CLOSED).map(({ name, flags }) => [name, ...flags]),
    [["imagenet"]],
  );
  assert.deepEqual(
    pixelReadings(card, { ...CLOSED, colour: true }).map(({ name, flags, choices }) => [
      name,
      flags,
      choices.normalise?.mean,
    ]),
    [
      ["imagenet", ["--colour", "rgb"], [0.485, 0.456, 0.406]],
      ["imagenet, BGR", ["--colour", "bgr"], [0.406, 0.456, 0.485]],
    ],
  );
  assert.deepEqual(
    pixelReadings(card, { ...CLOSED, colour: true, normalise: true }).map(({ flags }) => flags.join(" ")),
    [
      "--normalise imagenet",
      "--normalise unit",
      "--normalise symmetric",
      "--normalise bytes",
      ...["imagenet", "unit", "symmetric", "bytes"].map((name) => `--normalise ${name} --colour bgr`),
      "--normalise caffe",
    ],
  );
  const grey = { ...card, input: { ...input, colour: "grey" as const }, normalise: { mean: [0], std: [1] } };
  assert.deepEqual(
    pixelReadings(grey, { ...CLOSED, colour: true, normalise: true }).map(({ flags }) => flags.join(" ")),
    ["--normalise unit", "--normalise symmetric", "--normalise bytes", "--mean 0.1307 --std 0.3081"],
  );
});

test("sizes and ways of resizing, the card's own first and without flags", () => {
  assert.deepEqual(
    geometryReadings(card, CLOSED).map(({ flags }) => flags),
    [[]],
  );
  const found = geometryReadings(card, { ...CLOSED, size: true, resize: true }).map(({ flags }) => flags.join(" "));
  assert.deepEqual(found.slice(0, 3), ["", "--size 32", "--size 64"]);
  assert.ok(!found.includes("--size 224"));
  assert.deepEqual(found.slice(-3), ["--resize crop --short-side 224", "--resize stretch", "--resize pad"]);
});

test("opening the pictures otherwise is a reading only where it is open and the pictures tell it apart", () => {
  const open = { orientation: true, alpha: true };
  const flags = (...args: Parameters<typeof openingReadings>): string[] =>
    openingReadings(...args).map((reading) => reading.flags.join(" "));
  assert.deepEqual(flags(open, new Set()), []);
  assert.deepEqual(flags(open, new Set(["turned", "cmyk"])), ["--orientation ignore"]);
  assert.deepEqual(flags({ ...open, orientation: false }, new Set(["turned", "alpha"])), ["--alpha drop"]);
  const [, , last] = openingReadings(open, new Set(["turned", "alpha"]));
  assert.deepEqual(last?.flags, ["--orientation", "ignore", "--alpha", "drop"]);
  assert.deepEqual(last.choices, { resize: { orientation: "ignore", alpha: "drop" } });
});

test("orders of classes whose names are not the model's", () => {
  const orders = (names: string[], count: number) =>
    labelOrders(names, count).map(({ name, classes }) => [name, ...classes]);
  assert.deepEqual(orders(["1", "10", "2"], 3), [
    ["by code points (ImageFolder)", 0, 1, 2],
    ["by their numbers", 0, 2, 1],
  ]);
  assert.deepEqual(orders(["b", "C", "a"], 4), [
    ["a background class, then by code points (ImageFolder)", 3, 1, 2],
    ["a background class, then by letters of either case", 2, 3, 1],
    ["a background class, then as they come", 1, 2, 3],
  ]);
  assert.deepEqual(orders(["a", "b"], 5), []);
});

test("a difference counts where it is more than chance", () => {
  const right = (...runs: readonly (readonly [number, boolean])[]): boolean[] =>
    runs.flatMap(([count, value]) => Array<boolean>(count).fill(value));
  // 8 gained, 2 lost: 6 of 3.2 deviations' 6.3
  assert.equal(isClearlyBetter(right([8, true], [2, false]), right([8, false], [2, true])), false);
  assert.equal(isClearlyBetter(right([9, true], [1, false]), right([9, false], [1, true])), true);
  assert.equal(isClearlyBetter(right([5, true]), right([5, true])), false);
  assert.equal(isAboveChance(15, 100, 0.1), false);
  assert.equal(isAboveChance(17, 100, 0.1), true);
});
