import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { cut } from "../../../operators/state/cut.js";
import { appendLabels } from "../../../operators/archive/image-labels.js";
import { versionId } from "../../../operators/version/publish.js";
import { LiveDatasets } from "../../../pipelines/flow/live-datasets.js";
import type { ChosenRows } from "../../../schemas/chosen-rows.js";
import { datasetSchema, selectionFaults, selectionSchema, type Selection } from "../../../schemas/dataset.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ChainName } from "../../../schemas/keys.js";
import type { Where } from "../../../schemas/where.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { imageDigest, testCard, testSegment } from "../../fixtures/archive.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import {
  modelClasses,
  modelRows,
  topMAnswers,
  type ModelImage,
  type ModelLabel,
  type ModelRow,
} from "./selection-model.js";

const CLASSES = 6;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const stream = "images";
const chain: ChainName = { teacher, stream, partition: 0, origin: 0 };

/** Different images have different logits, and no two log-probabilities that are nearly equal. */
function imageLogits(image: number): number[] {
  const random = new SeededRandom(image);
  return Array.from({ length: CLASSES }, () => Math.fround(random.between(-3, 3)));
}

const images: fc.Arbitrary<ModelImage[]> = fc
  .array(fc.record({ image: fc.nat(30), timeMs: fc.integer({ min: 0, max: 5000 }) }), { minLength: 1, maxLength: 50 })
  .map((list) => list.map((one, offset) => ({ ...one, offset, logits: imageLogits(one.image) })));

const labelMaps = fc.constantFrom<Record<string, string[]>[]>(
  { b: ["class 3"], a: ["class 1"] },
  { every: Array.from({ length: CLASSES }, (_, index) => `class ${index}`) },
  { z: ["class 0", "class 5"], y: ["class 2"], x: ["class 4", "class 1"] },
  Object.fromEntries(Array.from({ length: CLASSES }, (_, index) => [`renamed ${9 - index}`, [`class ${index}`]])),
  { one: ["class 5"], two: ["#4"], three: ["class 0"] },
);

const optional = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined }).map((one) => (one === undefined ? {} : { [name]: one }));

const conditions = fc.constantFrom<Where[]>(
  { licence: ["CC0"] },
  { licence: { not: ["CC0"] } },
  { licence: [null], notes: { any: ["cmyk"] } },
  { sizeBytes: { least: 14, most: 36 } },
  { notes: { none: ["cmyk"] }, eventTime: { from: 500, until: 4500 } },
  { origin: ["crawl-*"] },
  { confidence: { least: 0.55 } },
  { logSumExp: { least: 3 }, licence: ["CC0"] },
);

const selections: fc.Arbitrary<Selection> = fc
  .tuple(
    fc.record({
      k: fc.oneof(
        fc.integer({ min: 1, max: 12 }),
        fc.record({ share: fc.constantFrom(0.1, 0.7, 2), most: fc.integer({ min: 1, max: 9 }) }),
      ),
      p: fc.integer({ min: 1, max: CLASSES }),
      floor: fc.constantFrom(0, 0.05, 0.3),
      balanced: fc.boolean(),
      overlap: fc.constantFrom("all" as const, "best" as const),
      repeat: fc.boolean(),
    }),
    optional("temperature", fc.constantFrom(1, 0.5, 3)),
    optional("labels", labelMaps),
    optional("decay", fc.record({ halfLifeMs: fc.constantFrom(100, 4000), landmarkMs: fc.constantFrom(0, 2000) })),
    optional("order", fc.constant("random")),
    fc.option(conditions, { nil: undefined, freq: 1 }).map((where) => (where === undefined ? {} : { where })),
  )
  .map(([base, ...more]) => Object.assign({}, base, ...more) as Record<string, unknown>)
  .map((one) => selectionSchema.parse(one["order"] === "random" ? { ...one, seed: 7 } : one))
  .filter((one) => selectionFaults(one).length === 0);

async function archive(list: readonly ModelImage[], topM: number, all: boolean, length: number): Promise<MemoryStore> {
  const store = openMemoryStore();
  for (let start = 0; start < list.length; start += length) {
    const segment = testSegment(chain, start, list.slice(start, start + length), topM, {
      allLogits: all ? CLASSES : null,
      eventTimeMs: (offset) => list[offset]!.timeMs,
    });
    // As the scorer counts: an image's second record copies its scores.
    const copied = list
      .slice(start, start + length)
      .filter(({ image, offset }) => list.findIndex((one) => one.image === image) < offset).length;
    segment.header.counts.copied = copied;
    segment.header.counts.scored -= copied;
    await writeSegment(store, chain, segment);
  }
  await liveChain(store, chain, 0);
  return store;
}

const labels: fc.Arbitrary<(ModelLabel & { readonly image: number })[]> = fc.array(
  fc.record({
    image: fc.nat(30),
    verdict: fc.constantFrom("is" as const, "not" as const, "not" as const, "none" as const, "withdrawn" as const),
    class: fc.nat(CLASSES - 1),
  }),
  { maxLength: 40 },
);

/** Appends in portions, as people label. */
async function say(store: MemoryStore, said: readonly (ModelLabel & { readonly image: number })[]): Promise<void> {
  for (let from = 0; from < said.length; from += 7) {
    const portion = said.slice(from, from + 7).map(({ image, verdict, class: index }) => ({
      sha256: Buffer.from(imageDigest(image)).toString("hex"),
      timeMs: from,
      by: null,
      ...(verdict === "is" || verdict === "not" ? { verdict, class: card.labels[index]! } : { verdict }),
    }));
    await appendLabels(store, stream, portion);
  }
}

interface CutMade {
  readonly rows: ModelRow[];
  readonly id: string;
}

async function cutRows(
  store: MemoryStore,
  select: Selection,
  end: number,
  onSegment: () => void = () => undefined,
  labels?: "place" | "retract",
): Promise<CutMade> {
  const dataset = datasetSchema.parse({ name: "d", select, reserve: 1, labels });
  const frontier = [{ partition: 0, origin: 0, end }];
  const options = { store, dataset, card, stream, frontier, trigger: "hand", onSegment };
  const rows: ModelRow[] = [];
  for await (const chosen of (await cut(options)).classes) rows.push(...rowsOf(chosen));
  return { rows, id: await versionId(await cut(options)) };
}

function rowsOf(chosen: ChosenRows): ModelRow[] {
  return Array.from({ length: chosen.count }, (_, row) => ({
    class: chosen.class,
    sha256: Buffer.from(chosen.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
    offset: chosen.offset[row]!,
    key: chosen.keys[row]!,
    probability: chosen.probability[row]!,
    repeat: chosen.repeat[row]!,
    by: chosen.byLabel?.[row] === 1 ? "label" : "teacher",
  }));
}

function assertRows(found: readonly ModelRow[], expected: readonly ModelRow[]): void {
  const plain = ({ class: index, sha256, offset, repeat, by }: ModelRow) => ({ index, sha256, offset, repeat, by });
  assert.deepEqual(found.map(plain), expected.map(plain));
  for (const [index, row] of found.entries()) {
    const model = expected[index]!;
    if (Number.isNaN(model.key)) {
      assert.ok(Number.isNaN(row.key) && Number.isNaN(row.probability));
      continue;
    }
    assert.ok(Math.abs(row.key - model.key) <= 1e-9 * Math.max(1, Math.abs(model.key)), `${row.key} for ${model.key}`);
    assert.ok(Math.abs(row.probability - model.probability) < 1e-12);
  }
}

test("every combination of selection parameters chooses what sorting everything chooses, or says what is missing", async () => {
  let answered = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      images,
      selections,
      fc.integer({ min: 1, max: CLASSES }),
      fc.boolean(),
      fc.integer({ min: 1, max: 20 }),
      async (list, select, topM, all, length) => {
        const classes = modelClasses(
          // The model knows no numbers for labels.
          { ...select, labels: select.labels && named(select.labels) },
          card.labels,
        );
        const store = await archive(list, topM, all, length);
        const canAnswer =
          all ||
          (topMAnswers(list, select, classes, topM, 1) &&
            (select.p <= topM || topM === CLASSES || select.labels !== undefined));
        if (!canAnswer) {
          refused++;
          await assert.rejects(cutRows(store, select, list.length), (error) => isSluiceError(error, "E_SELECTION"));
          return;
        }
        answered++;
        const made = await cutRows(store, select, list.length);
        assertRows(made.rows, modelRows(list, select, classes, 1));
        // The id does not depend on how much of the scores was archived, nor on segments.
        const whole = await archive(list, CLASSES, true, 1 + ((length * 7) % 13));
        assert.equal((await cutRows(whole, select, list.length)).id, made.id);
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(answered > 40 && refused > 8, `${answered} answered, ${refused} refused`);
});

function named(labels: Record<string, string[]>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(labels).map(([label, members]) => [label, members.map((one) => one.replace("#", "class "))]),
  );
}

test("retracted images are replaced from the reserve and the archive, as if they had never been scored there", async () => {
  let deeper = 0;
  await fc.assert(
    fc.asyncProperty(images, selections, labels, fc.integer({ min: 1, max: 9 }), async (list, select, said, length) => {
      const classes = modelClasses({ ...select, labels: select.labels && named(select.labels) }, card.labels);
      const dataset = datasetSchema.parse({ name: "d", select, reserve: 1 });
      const store = await archive(list, CLASSES, true, length);
      const live = await LiveDatasets.restore(
        { store, datasets: [dataset], teacher, stream, card, everySegments: 2, keep: 2 },
        [],
      );
      await live.catchUp(chain, list.length);
      await live.checkpoint();
      await say(store, said);
      let segments = 0;
      const made = await cutRows(store, select, list.length, () => segments++);
      // The checkpoint covers all: segments are read only where its lists are too short.
      if (segments > 0) deeper++;
      assertRows(made.rows, modelRows(list, select, classes, 1, said));
    }),
    { numRuns: 150, seed: 1 },
  );
  assert.ok(deeper > 5, `the archive was read for ${deeper} cuts`);
});

test("what people placed stands first in its class, by digest and within K, with a key where the teacher archived one, unless labels: retract", async () => {
  let without = 0;
  let retracting = 0;
  await fc.assert(
    fc.asyncProperty(
      images,
      selections,
      labels,
      fc.integer({ min: 1, max: CLASSES }),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(undefined, undefined, "place" as const, "retract" as const),
      async (list, drawn, words, topM, length, rule) => {
        const said = words.map((one) => ({ ...one, image: list[one.image % list.length]!.image }));
        // Parameters that few archived classes answer, too
        const few = { ...drawn, temperature: undefined, p: Math.min(drawn.p, topM) };
        const select = topM < CLASSES ? few : drawn;
        const classes = modelClasses({ ...select, labels: select.labels && named(select.labels) }, card.labels);
        const isAnswered = topMAnswers(list, select, classes, topM, 1) && (select.p <= topM || topM === CLASSES);
        if (!isAnswered) return;
        const store = await archive(list, topM, false, length);
        await say(store, said);
        const found = await cutRows(store, select, list.length, undefined, rule);
        const places = rule !== "retract";
        assertRows(found.rows, modelRows(list, select, classes, 1, said, { archived: topM, places }));
        if (found.rows.some(({ key }) => Number.isNaN(key))) without++;
        if (!places) retracting++;
      },
    ),
    { numRuns: 150, seed: 4 },
  );
  assert.ok(without > 3 && retracting > 5, `${without} with rows without a key, ${retracting} that retract alone`);
});

test("labels beyond a frontier are not heeded; withdrawing them gives the first version again", async () => {
  const list = Array.from({ length: 30 }, (_, offset) => ({
    image: offset,
    timeMs: 0,
    offset,
    logits: imageLogits(offset),
  }));
  const store = await archive(list, CLASSES, false, 8);
  const select = selectionSchema.parse({ k: 4, p: 3 });
  const first = await cutRows(store, select, 30);
  const none = { verdict: "none" as const, class: 0 };
  await say(store, [
    { image: 3, ...none },
    { image: 5, ...none },
    { image: 7, ...none },
  ]);
  const second = await cutRows(store, select, 30);
  assert.notEqual(second.id, first.id);
  const dataset = datasetSchema.parse({ name: "d", select });
  const frontier = [{ partition: 0, origin: 0, end: 30 }];
  const again = await cut({ store, dataset, card, stream, frontier, trigger: "hand", labels: [] });
  assert.equal(await versionId(again), (await cutRows(await archive(list, CLASSES, true, 8), select, 30)).id);
  await say(
    store,
    [3, 5, 7].map((image) => ({ image, verdict: "withdrawn", class: 0 })),
  );
  assert.equal((await cutRows(store, select, 30)).id, first.id);
});

test("a live state with checkpoints changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(images, selections, fc.integer({ min: 1, max: 9 }), async (list, select, length) => {
      const dataset = datasetSchema.parse({ name: "d", select, reserve: 1 });
      const store = await archive(list, CLASSES, true, length);
      const live = await LiveDatasets.restore(
        { store, datasets: [dataset], teacher, stream, card, everySegments: 2, keep: 2 },
        [],
      );
      const fresh = await cutRows(store, select, list.length);
      const half = Math.ceil(list.length / length / 2) * length;
      await live.catchUp(chain, Math.min(half, list.length));
      await live.checkpoint();
      assert.deepEqual(await cutRows(store, select, list.length), fresh);
    }),
    { numRuns: 40 },
  );
});

test("K by class, by the version's labels", async () => {
  const list = Array.from({ length: 60 }, (_, offset) => ({
    image: offset,
    timeMs: 0,
    offset,
    logits: imageLogits(offset),
  }));
  const store = await archive(list, CLASSES, false, 16);
  const select = selectionSchema.parse({ k: { default: 3, classes: { "class 2": 9, "#4": 1 } }, p: 2 });
  const { rows } = await cutRows(store, select, list.length);
  const counts = card.labels.map((_, index) => rows.filter((row) => row.class === index).length);
  assert.deepEqual(counts, [3, 3, 9, 3, 1, 3]);
});

test("labels that the teacher does not have, or twice, and parameters that contradict each other are refused", async () => {
  const store = await archive([], CLASSES, false, 1);
  const refusals: [object, RegExp][] = [
    [{ labels: { a: ["class 9"] } }, /Expected one of 6 labels in select\.labels\.a, found "class 9"/],
    [
      { labels: { a: ["class 1"], b: ["#1"] } },
      /each of the teacher's labels once in select\.labels, found "#1" in "a" and in "b"/,
    ],
    [{ labels: { a: ["class 1", "class 1"] } }, /once, found "class 1" in "a" and in "a"/],
    [{ k: { default: 1, classes: { tench: 2 } } }, /labels in select\.k\.classes, found "tench"/],
    [
      { k: { default: 1, classes: { "class 2": 2, "#2": 3 } } },
      /each class once in select\.k\.classes, found "#2" again/,
    ],
    [{ order: "random" }, /expected a seed/],
    [{ seed: 1 }, /expected order: random with a seed/],
    [{ order: "random", seed: 1, decay: { halfLifeMs: 5 } }, /no decay with order: random/],
    [{ order: "random", seed: 1, overlap: "best" }, /overlap: all with order: random/],
    [{ balanced: false, repeat: true }, /no repeat with balanced: false/],
    [{ balanced: false, k: { default: 1, classes: {} } }, /one K with balanced: false/],
  ];
  for (const [select, message] of refusals) {
    await assert.rejects(cutRows(store, selectionSchema.parse(select), 0), (error) => {
      assert.ok(isSluiceError(error, "E_SELECTION"), String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
