import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { cut } from "../../operators/state/cut.js";
import { publish } from "../../operators/version/publish.js";
import { whatif, type WhatifOptions } from "../../pipelines/whatif.js";
import { whatifPlot } from "../../pipelines/whatif/whatif-plot.js";
import { datasetSchema, type Dataset } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { liveChain } from "../../operators/archive/chain.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { testCard, testSegment, type TestRecord } from "../fixtures/archive.js";
import { openMemoryStore, type MemoryStore } from "../fixtures/memory-store.js";
import { publishOptions } from "../fixtures/publishing.js";

const CLASSES = 8;
const IMAGES = 300;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const stream = "images";
const chain: ChainName = { teacher, stream, partition: 0, origin: 0 };
const frontier = [{ partition: 0, origin: 0, end: IMAGES }];
const span = { startMs: null, endMs: null };

/** Some images come twice, and some classes are rare. */
const records: TestRecord[] = Array.from({ length: IMAGES }, (_, offset) => {
  const image = offset % 17 === 16 ? offset - 5 : offset;
  const random = new SeededRandom(image);
  return {
    image,
    logits: Array.from({ length: CLASSES }, (_, index) => Math.fround(random.between(-3, 3) - index / 3)),
  };
});

async function archived(topM: number, all: boolean): Promise<MemoryStore> {
  const store = openMemoryStore();
  for (let start = 0; start < IMAGES; start += 50) {
    const part = records.slice(start, start + 50);
    await writeSegment(store, chain, testSegment(chain, start, part, topM, { allLogits: all ? CLASSES : null }));
  }
  await liveChain(store, chain, 0);
  return store;
}

const datasetOf = (select: object): Dataset => datasetSchema.parse({ name: "d", select, reserve: 2 });
const optionsOf = (store: MemoryStore, select: object, settings: WhatifOptions["settings"]): WhatifOptions => ({
  store,
  dataset: datasetOf(select),
  card,
  stream,
  frontier,
  span,
  settings,
  maxStateBytes: 1e9,
});

/** Rows of the version that is really cut, by class: digests, and the last row's probability. */
async function cutRows(store: MemoryStore, select: object) {
  const made = await cut({ store, dataset: datasetOf(select), card, stream, frontier, trigger: "hand" });
  const rows: { class: number; sha256: string; probability: number; repeat: number }[] = [];
  for await (const chosen of made.classes) {
    for (let row = 0; row < chosen.count; row++) {
      const sha256 = Buffer.from(chosen.digest.subarray(row * 32, row * 32 + 32)).toString("hex");
      rows.push({ class: chosen.class, sha256, probability: chosen.probability[row]!, repeat: chosen.repeat[row]! });
    }
  }
  return { rows, labels: made.labels };
}

for (const policy of [{}, { balanced: false }, { overlap: "best" }, { repeat: true, floor: 0.2 }]) {
  test(`an answer is what the version would be, ${JSON.stringify(policy)}`, async () => {
    const store = await archived(5, true);
    const published = await cut({
      store,
      dataset: datasetOf({ k: 20, p: 2 }),
      card,
      stream,
      frontier,
      trigger: "hand",
    });
    const { manifest } = await publish(published, publishOptions(new Map(), { store }));
    const newest = new Set((await cutRows(store, { k: 20, p: 2 })).rows.map((row) => `${row.class} ${row.sha256}`));
    const settings = { k: [5, 20, 60], p: [1, 3], temperature: [null, 2] };
    const result = await whatif(optionsOf(store, { k: 20, p: 2, ...policy }, settings));
    assert.equal(result.newest?.id, manifest.id);
    assert.equal(result.answers.length, 12);
    for (const answer of result.answers) {
      assert.ok("rows" in answer);
      const { k, p, temperature } = answer;
      assert.equal(answer.from, temperature === 1 ? "top-M" : "full softmax");
      const { rows } = await cutRows(store, { k, p, ...policy, ...(temperature === 1 ? {} : { temperature }) });
      const first = rows.filter(({ repeat }) => repeat === 0);
      assert.equal(answer.rows, rows.length);
      assert.equal(answer.images, new Set(rows.map(({ sha256 }) => sha256)).size);
      const counts = card.labels.map((_, index) => first.filter((row) => row.class === index).length);
      assert.equal(answer.full, counts.filter((count) => count >= Number(k)).length);
      assert.deepEqual(
        new Map(answer.starving.map(({ label, rows: count }) => [label, count])),
        new Map(card.labels.flatMap((label, index) => (counts[index]! < Number(k) ? [[label, counts[index]!]] : []))),
      );
      const last = card.labels
        .flatMap((_, index) => first.filter((row) => row.class === index).at(-1) ?? [])
        .map(({ probability }) => probability)
        .sort((a, b) => a - b);
      assert.deepEqual(answer.cutoff, { lowest: last[0], median: last[Math.floor(last.length / 2)] });
      const common = first.filter((row) => newest.has(`${row.class} ${row.sha256}`)).length;
      assert.equal(answer.overlap, common / first.length);
    }
  });
}

test("settings that the archive cannot answer exactly are refused with the reason, the others answered", async () => {
  const store = await archived(5, false);
  const { answers, newest } = await whatif(
    optionsOf(store, { k: 5, p: 2 }, { k: [5, 9], p: [2, 6], temperature: [null, 3] }),
  );
  assert.equal(newest, null);
  const outcomes = answers.map((one) => ("refused" in one ? one.refused : "answered"));
  assert.deepEqual(outcomes.slice(0, 2), ["answered", "answered"]);
  assert.match(outcomes[2]!, /P of at most 5/);
  assert.match(outcomes[4]!, /all logits of every image for another temperature \(3\)/);
  assert.equal(outcomes.filter((one) => one === "answered").length, 2);
});

test("what does not fit into memory is refused before anything is read", async () => {
  const store = await archived(5, false);
  const options = optionsOf(store, { k: 5, p: 2 }, { k: [1_000_000], p: [2], temperature: [null] });
  await assert.rejects(whatif({ ...options, store: openMemoryStore(), maxStateBytes: 1e7 }), (error) =>
    isSluiceError(error, "E_MEMORY"),
  );
});

test("the plot has a curve for each P and temperature, and a point for each answer in each panel", async () => {
  const store = await archived(CLASSES, false);
  const svg = whatifPlot(
    await whatif(optionsOf(store, { k: 5, p: 2 }, { k: [5, 20, 60], p: [1, 3], temperature: [1, 2] })),
  );
  assert.equal(svg.match(/<polyline /g)?.length, 3 * 4);
  assert.equal(svg.match(/<circle /g)?.length, 3 * 4 * 3);
  assert.ok(!/NaN|Infinity|undefined/.test(svg));
});
