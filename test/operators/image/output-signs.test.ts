import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputSigns } from "../../../operators/image/output-signs.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { uniform } from "../../fixtures/seeded-weights.js";

type Kind = ModelCard["output"]["kind"];

/** A segment of rows, as the archive has them: the best `topM` of the logits that `row` gives of each image. */
function signsOf(
  row: (image: number, next: () => number) => readonly number[],
  {
    kind = "logits",
    images = 150,
    topM = 5,
    temperature = 1,
    copied = 0,
    rejected = 0,
  }: {
    kind?: Kind;
    images?: number;
    topM?: number;
    temperature?: number;
    copied?: number;
    rejected?: number;
  } = {},
): string[] {
  const next = uniform(3);
  const rows = Array.from({ length: images }, (_, image) => Array.from(Float32Array.from(row(image, next))));
  const classCount = rows[0]!.length;
  const width = Math.min(topM, classCount);
  const listed = rows.map((z) => [...z.keys()].sort((a, b) => z[b]! - z[a]! || a - b).slice(0, width));
  const sums = rows.map((z) => {
    const greatest = z.reduce((a, b) => Math.max(a, b));
    return (
      greatest / temperature + Math.log(z.reduce((sum, value) => sum + Math.exp((value - greatest) / temperature), 0))
    );
  });
  const card = {
    name: "t",
    labels: Array.from({ length: classCount }, (_, at) => `c${at}`),
    output: { kind },
    temperature,
  };
  const batch = {
    count: images,
    topM: width,
    copied: Uint8Array.from(rows, (_, at) => (at < copied ? 1 : 0)),
    classes: Int32Array.from(listed.flat()),
    logits: Float32Array.from(listed.flatMap((classes, at) => classes.map((one) => rows[at]![one]!))),
    keys: Float64Array.from(
      listed.flatMap((classes, at) => classes.map((one) => rows[at]![one]! / temperature - sums[at]!)),
    ),
    logSumExp: Float64Array.from(sums),
  };
  const bad = {
    offset: 0,
    code: "E_IMAGE_SCORES",
    reason: "",
    sha256: null,
    uri: "u",
    eventTimeMs: 0,
    retryOf: null,
  } as const;
  const signs = new OutputSigns(card);
  const segment = { header: { rejected: Array.from({ length: rejected }, () => bad) }, batch };
  const seen = [...signs.onSegment(segment), ...signs.onSegment(segment), ...signs.end()];
  for (const { message } of seen) assert.match(message, /^teacher t: .*`sluice teacher add <model> .*--overwrite`/);
  return seen.map(({ sign }) => sign);
}

const normal = (next: () => number): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
const logits =
  (classes: number, spread: number) =>
  (_: number, next: () => number): number[] =>
    Array.from({ length: classes }, () => spread * normal(next));
const softmax = (z: readonly number[]): number[] => {
  const total = z.reduce((sum, value) => sum + Math.exp(value), 0);
  return z.map((value) => Math.exp(value) / total);
};

test("outputs of a right reading show no sign, whatever their kind", () => {
  for (const classes of [2, 10, 1000]) {
    assert.deepEqual(signsOf(logits(classes, 3)), [], `${classes} logits`);
    const logSoftmax = (image: number, next: () => number): number[] =>
      softmax(logits(classes, 3)(image, next)).map(Math.log);
    assert.deepEqual(signsOf(logSoftmax), [], "log-softmax");
    assert.deepEqual(signsOf(logSoftmax, { kind: "probabilities" }), []);
    assert.deepEqual(signsOf(logits(classes, 3), { kind: "sigmoid" }), []);
    assert.deepEqual(signsOf(logits(classes, 3), { kind: "sigmoid-logits" }), []);
  }
});

test("probabilities read as logits, all listed or few, also of 8 bits and at another temperature", () => {
  for (const classes of [3, 10, 1000]) {
    const row = (image: number, next: () => number): number[] => softmax(logits(classes, 3)(image, next));
    assert.deepEqual(signsOf(row), ["probabilities"], `${classes}`);
    assert.deepEqual(signsOf(row, { topM: 1000 }), ["probabilities"]);
    assert.deepEqual(signsOf(row, { temperature: 2 }), ["probabilities"]);
    const rounded = (image: number, next: () => number): number[] =>
      row(image, next).map((p) => Math.round(p * 256) / 256);
    assert.deepEqual(signsOf(rounded), ["probabilities"], `${classes} of 8 bits`);
  }
});

test("independent probabilities read as logits, of either sort; a softmax read as independent", () => {
  const sigmoid = (image: number, next: () => number): number[] =>
    logits(20, 3)(image, next).map((z) => 1 / (1 + Math.exp(-z)));
  assert.deepEqual(signsOf(sigmoid), ["sigmoid"]);
  assert.deepEqual(signsOf(sigmoid, { kind: "sigmoid-logits" }), ["sigmoid"]);
  const turned = (image: number, next: () => number): number[] =>
    softmax(logits(5, 2)(image, next)).map((p) => Math.log(p / (1 - p)));
  assert.deepEqual(signsOf(turned, { kind: "sigmoid" }), ["softmax"]);
});

test("equal, saturated, flat, of one class, and not finite", () => {
  assert.deepEqual(
    signsOf(() => [1, 2, 3]),
    ["equal"],
  );
  assert.deepEqual(signsOf(logits(10, 1000)), ["saturated"]);
  assert.deepEqual(signsOf(logits(100, 0.1)), ["flat"]);
  assert.deepEqual(signsOf(logits(10, 3), { temperature: 60 }), ["flat"], "T far above 1");
  assert.deepEqual(
    signsOf((image, next) => logits(10, 1)(image, next).map((z, at) => (at === 4 ? z + 9 : z))),
    ["one-class"],
  );
  assert.deepEqual(signsOf(logits(10, 3), { rejected: 12 }), ["not-finite"]);
  assert.deepEqual(signsOf(logits(10, 3), { rejected: 3 }), []);
});

test("few images and copies say nothing", () => {
  assert.deepEqual(
    signsOf(() => [1, 2, 3], { images: 40 }),
    [],
  );
  assert.deepEqual(
    signsOf(() => [1, 2, 3], { copied: 150 }),
    [],
  );
  assert.deepEqual(
    signsOf(() => [1, 2, 3], { images: 60 }),
    ["equal"],
    "120 at the end",
  );
});
