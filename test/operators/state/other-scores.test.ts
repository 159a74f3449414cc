import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { cut } from "../../../operators/state/cut.js";
import type { HeededScores } from "../../../operators/version/other-scores.js";
import { versionId } from "../../../operators/version/publish.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import type { ScoreCondition } from "../../../schemas/where.js";
import { archiveRecords, testCard, type TestRecord } from "../../fixtures/archive.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { sortedRows, tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const OTHERS = 3;
const card = testCard(CLASSES);
const other = testCard(OTHERS, "another teacher");
const [teacher, second] = [teacherDigest(card), teacherDigest(other)];
const stream = "images";

const logitsOf = (image: number): number[] => tiedLogits(image, CLASSES);
/** What the other teacher thinks has nothing to do with it. */
const othersLogits = (image: number): number[] => tiedLogits(image * 31 + 7, OTHERS);
const recordOf = (image: number): TestRecord => ({ image, logits: logitsOf(image) });

function othersProbability(image: number, index: number): number {
  const shares = othersLogits(image).map(Math.exp);
  return shares[index]! / shares.reduce((sum, one) => sum + one, 0);
}

async function archived(
  images: readonly number[],
  seen: readonly number[],
  length: number,
  topM = OTHERS,
): Promise<MemoryStore> {
  const store = openMemoryStore();
  await saveCard(store, card);
  await saveCard(store, other);
  const chain = await liveChain(store, { teacher, stream, partition: 0 }, 0);
  await archiveRecords(store, chain, images.map(recordOf), [length], CLASSES);
  const beside = await liveChain(store, { teacher: second, stream, partition: 0 }, 0);
  await archiveRecords(
    store,
    beside,
    seen.map((image) => ({ image, logits: othersLogits(image) })),
    [length + 2],
    topM,
  );
  return store;
}

interface Asked {
  readonly k: number;
  readonly scores: readonly ScoreCondition[];
  readonly heeded?: readonly HeededScores[];
}

async function cutOf(store: MemoryStore, { k, scores, heeded }: Asked) {
  const dataset = datasetSchema.parse({ name: "d", select: { k, p: 2, where: { scores } }, reserve: 1 });
  const frontier = await currentFrontier(store, { teacher, stream });
  return cut({ store, dataset, card, stream, frontier, trigger: "test", scores: heeded });
}

async function rowsOf(store: MemoryStore, asked: Asked): Promise<string[][]> {
  const rows: string[][] = [];
  for await (const { count, digest } of (await cutOf(store, asked)).classes)
    rows.push(
      Array.from({ length: count }, (_, row) => Buffer.from(digest.subarray(32 * row, 32 * row + 32)).toString("hex")),
    );
  return rows;
}

test("a class has the best images of which another teacher thinks what is asked for, whatever the order in which both have scored", async () => {
  const image = fc.nat(60);
  const threshold = fc.constantFrom(undefined, 0.1, 0.3, 0.5);
  let fewer = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(image, { minLength: 1, maxLength: 60 }),
      fc.array(image, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.record({ class: fc.nat(OTHERS - 1), least: threshold, most: fc.constantFrom(undefined, 0.6, 0.9) }), {
        minLength: 1,
        maxLength: 2,
      }),
      fc.integer({ min: 1, max: 9 }),
      async (images, seen, k, conditions, length) => {
        const scores = conditions.map((one) => ({ teacher: second, ...one }));
        const store = await archived(images, seen, length);
        const meets = (one: number): boolean =>
          seen.includes(one) &&
          conditions.every(({ class: index, least = 0, most = 1 }) => {
            const probability = othersProbability(one, index);
            return probability >= least && probability <= most;
          });
        const expected = sortedRows([images.filter(meets).map(recordOf)], CLASSES, k, 2);
        const found = await rowsOf(store, { k, scores });
        assert.deepEqual(
          found,
          expected.map((list) => list.map(({ sha256 }) => sha256)),
        );
        if (images.some((one) => !meets(one))) fewer++;
        const turned = await archived(images.toReversed(), seen.toReversed(), 3 + length);
        assert.equal(
          await versionId(await cutOf(turned, { k, scores: scores.toReversed() })),
          await versionId(await cutOf(store, { k, scores })),
        );
      },
    ),
    { numRuns: 60, seed: 3 },
  );
  assert.ok(fewer > 20, `${fewer} cuts left out something`);
});

test("a version names up to where other scores were heeded, and is made again from there when more have come", async () => {
  const images = Array.from({ length: 40 }, (_, at) => at);
  const scores = [{ teacher: second, class: 0, least: 0.2 }];
  const store = await archived(images, images.slice(0, 20), 7);
  const first = await cutOf(store, { k: 5, scores });
  assert.deepEqual(first.scores, [{ teacher: second, frontier: [{ partition: 0, origin: 0, end: 20 }] }]);
  const id = await versionId(first);
  const chain = { teacher: second, stream, partition: 0, origin: 0 };
  const rest = images.slice(20).map((image): TestRecord => ({ image, logits: othersLogits(image) }));
  const { testSegment } = await import("../../fixtures/archive.js");
  const { writeSegment } = await import("../../../operators/archive/segment-objects.js");
  await writeSegment(store, chain, testSegment(chain, 20, rest, OTHERS));
  assert.notEqual(await versionId(await cutOf(store, { k: 5, scores })), id);
  assert.equal(await versionId(await cutOf(store, { k: 5, scores, heeded: first.scores ?? [] })), id);
});

test("a teacher that is unknown or has scored nothing, a class that it has not, and scores that are not archived are refused by name", async () => {
  const store = await archived([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 3, 1);
  const name = second.slice(0, 12);
  const refusals: [object, RegExp][] = [
    [
      { teacher: "f".repeat(64), class: 0 },
      /class #0 of teacher ffffffffffff.*no teacher of that digest has scored anything/,
    ],
    [{ teacher: second, class: 9 }, new RegExp(`class #9 of teacher ${name}.*it has 3 classes`)],
    [
      { teacher: second, class: 0, least: 0.001 },
      new RegExp(`the score of class #0 of teacher ${name}.*1 other class alone.*archive\\.logits: all`),
    ],
  ];
  for (const [condition, message] of refusals)
    await assert.rejects(rowsOf(store, { k: 9, scores: [condition as ScoreCondition] }), {
      code: "E_SELECTION",
      message,
    });
  const empty = await archived([1, 2], [], 3);
  await assert.rejects(rowsOf(empty, { k: 9, scores: [{ teacher: second, class: 0 }] }), {
    code: "E_SELECTION",
    message: /found none in the archive of stream "images".*sluice replay/,
  });
  // Where the bound tells, one class is enough.
  const sure = await rowsOf(store, { k: 9, scores: [{ teacher: second, class: 0, most: 0.99 }] });
  assert.ok(sure.flat().length > 0);
});
