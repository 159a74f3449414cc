import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_PLACE, ranking } from "../../../operators/select/ranking.js";
import { randomRank } from "../../../operators/select/random-rank.js";
import { rowScores, SegmentBuilder } from "../../../operators/archive/segment-builder.js";
import { numberedSelection, parametersDigest } from "../../../operators/select/numbered-selection.js";
import { datasetSchema, selectionSchema } from "../../../schemas/dataset.js";
import { VersionIdHash } from "../../../schemas/manifest.js";
import { BYTES } from "../../../schemas/scored-batch.js";
import { imageDigest, testCard, testSegment } from "../../fixtures/archive.js";

const card = testCard(4);
const chain = { teacher: "t", stream: "s", partition: 0, origin: 0 };
const batchOf = (logits: readonly (readonly number[])[], topM = 4) =>
  testSegment(
    chain,
    0,
    logits.map((one, image) => ({ image, logits: one })),
    topM,
  ).batch;

test("without parameters of its own a selection ranks the archive's batch itself", () => {
  const batch = batchOf([[1, 2, 3, 4]], 2);
  assert.equal(ranking(selectionSchema.parse({ p: 2, floor: 0.1 }), card).rank(batch), batch);
  assert.equal(ranking(selectionSchema.parse({ p: 2, temperature: card.temperature }), card).rank(batch), batch);
});

test("ids and states of selections by K, P and floor are named as before there were other parameters", () => {
  const select = selectionSchema.parse({ k: 5, p: 1, floor: 0.25 });
  const span = { startMs: null, endMs: null };
  const id = new VersionIdHash({ numbered: numberedSelection(select, card), span, teacher: "a".repeat(64) });
  id.row(0, 1, imageDigest(1), -0.5);
  assert.equal(id.digest(), "18c73dfba702b0048c0cc115b704d16e20512279a5c17960105dc8bfdc2371c9");
  assert.equal(
    parametersDigest(datasetSchema.parse({ name: "d", select }), "t", "s", card),
    "90d17cb4c3f1d54d0a5efe40e4f62be7be12c879d0f4f85f2fd7c4c24b61e3ce",
  );
});

test("a merged class has the sum of its members' probabilities, told apart where it is all but certain", () => {
  const select = selectionSchema.parse({ p: 1, labels: { pair: ["class 0", "class 1"], rest: ["class 2"] } });
  const batch = batchOf([
    [40, 39, 0, 0],
    [40, 39, 0, -1],
    [0, 1, 2, 3],
  ]);
  const { classes, keys, topM } = ranking(select, card).rank(batch);
  assert.equal(topM, 1);
  assert.deepEqual([...classes], [0, 0, 1]);
  // -log1p(x) is -x for so small an x.
  const sum = 1 + Math.exp(-1);
  assert.ok(Math.abs(keys[0]! / ((-2 * Math.exp(-40)) / sum) - 1) < 1e-12);
  assert.ok(Math.abs(keys[1]! / (-(Math.exp(-40) + Math.exp(-41)) / sum) - 1) < 1e-12);
  assert.ok(Math.abs(Math.exp(keys[2]!) - Math.exp(2) / (1 + Math.exp(1) + Math.exp(2) + Math.exp(3))) < 1e-12);
});

test("the floor is on the probability, whatever ranks", () => {
  const batch = batchOf([[0, 0, 0, 3]]);
  for (const other of [{ decay: { halfLifeMs: 1 } }, { order: "random", seed: 3 }]) {
    const { classes } = ranking(selectionSchema.parse({ p: 2, floor: 0.5, ...other }), card).rank(batch);
    assert.deepEqual([...classes], [3, EMPTY_PLACE]);
  }
});

test("a random rank is another for every seed, and as even as chance", () => {
  const digests = Array.from({ length: 4000 }, (_, image) => imageDigest(image));
  const ranks = [1, 2].map((seed) => digests.map((digest) => randomRank(seed, digest, 0)));
  for (const list of ranks) {
    assert.equal(new Set(list).size, list.length);
    const parts = new Array<number>(10).fill(0);
    for (const rank of list) parts[Math.floor(rank * 10)]!++;
    // 400 expected; five standard deviations are 95.
    assert.ok(
      parts.every((count) => Math.abs(count - 400) < 95),
      parts.join(),
    );
  }
  // Before or after a middle image under one seed says nothing about the other seed.
  const agree = digests.filter((_, at) => ranks[0]![at]! < 0.5 === ranks[1]![at]! < 0.5).length;
  assert.ok(Math.abs(agree - 2000) < 160, `${agree}`);
});

test("of a multi-label teacher a merged class is there where any of its members is", () => {
  const select = selectionSchema.parse({ p: 2, labels: { pair: ["class 0", "class 1"], rest: ["class 2"] } });
  const batch = batchOf([
    [0, 0, 3, 9],
    [50, 40, -3, 9],
    [-90, -91, -3, 9],
  ]);
  const output = { kind: "sigmoid" as const };
  const { classes, keys } = ranking(select, { ...card, output }).rank(batch);
  assert.deepEqual([...classes], [1, 0, 0, 1, 1, 0]);
  const near = (found: number, expected: number): void => {
    assert.ok(Math.abs(found / expected - 1) < 1e-12, `${found} for ${expected}`);
  };
  near(keys[0]!, -Math.log1p(Math.exp(-3)));
  near(keys[1]!, Math.log(0.75));
  // 1 - (1 - p)(1 - q) near certainty, and near nothing
  near(keys[2]!, -Math.exp(-90));
  near(keys[5]!, -90 + Math.log1p(Math.exp(-1)));
});

test("a row copied from one without all logits has NaN for them, and no selection that needs them ranks it", () => {
  const { batch } = testSegment(chain, 0, [{ image: 0, logits: [1, 2, 3, 4] }], 2);
  const builder = new SegmentBuilder({
    partition: 0,
    topM: 2,
    classCount: 4,
    embeddingSize: null,
    start: 0,
    watermarkMs: null,
  });
  const [digest, scores] = [imageDigest(0), rowScores(batch, 0)];
  const origin = {
    offset: 0,
    eventTimeMs: 0,
    digest,
    uri: "a",
    sizeBytes: 1,
    licence: null,
    origin: null,
    retryOf: null,
  };
  builder.add(origin, scores, true, BYTES.absent);
  const copied = builder.build();
  assert.deepEqual([...copied.allLogits!], [NaN, NaN, NaN, NaN]);
  for (const select of [{ p: 1, temperature: 2 }, { p: 1, labels: { pair: ["class 2", "class 3"] } }, { p: 3 }])
    assert.throws(() => ranking(selectionSchema.parse(select), card).rank(copied), { code: "E_SELECTION" });
  assert.deepEqual([...ranking(selectionSchema.parse({ p: 2 }), card).rank(copied).classes], [3, 2]);
});
