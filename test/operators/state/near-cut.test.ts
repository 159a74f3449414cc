import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { cut } from "../../../operators/state/cut.js";
import { addGuardSet } from "../../../operators/version/guard-sets.js";
import { versionId } from "../../../operators/version/publish.js";
import { datasetSchema, type Selection } from "../../../schemas/dataset.js";
import { guardEntries, type GuardSet } from "../../../schemas/guard.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import type { LeftOut } from "../../../schemas/left-out.js";
import { archiveRecords, imageDigest, testCard, type TestRecord } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { randomWords } from "../../fixtures/random.js";
import { sortedRows, tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const TOP_M = 3;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const stream = "images";

/** Numbers in [0, 1) from a seed. */
function seeded(seed: number): () => number {
  const words = randomWords(seed * 7919);
  for (let passed = 0; passed < 16; passed++) words();
  return () => words() / 2 ** 32;
}

/** Images of one cluster differ in few bits, some of them mirrored; every ninth picture is too flat to be compared. */
function pdqOf(image: number): { hash: Uint8Array; quality: number } {
  const cluster = image % 11;
  const random = seeded(cluster + 1);
  const hash = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
  for (let bit = 0; bit < image % 5; bit++) hash[(image * 7 + bit * 3) % 32]! ^= 1 << ((image + bit) % 8);
  const shown = image % 4 === 3 ? hash.map((byte) => byte ^ 0x55) : hash;
  return { hash: shown, quality: image % 9 === 8 ? 20 : 90 };
}

function bitsBetween(a: Uint8Array, b: Uint8Array): number {
  let [plain, mirrored] = [0, 0];
  for (let bit = 0; bit < 256; bit++) {
    const differs = ((a[bit >> 3]! ^ b[bit >> 3]!) >> (bit & 7)) & 1;
    plain += differs;
    mirrored += bit % 2 === 0 ? 1 - differs : differs;
  }
  return Math.min(plain, mirrored);
}

function guardOf(images: readonly number[], distance: number): GuardSet {
  const entries = guardEntries(images.map((image) => ({ digest: imageDigest(image), ...pdqOf(image) })));
  return { name: "test-set", atMs: 1, from: "/test", distance, images: images.length, entries };
}

const hex = (image: number): string => Buffer.from(imageDigest(image)).toString("hex");

interface Rules {
  readonly k: number;
  readonly p: number;
  readonly near: NonNullable<Selection["near"]> | undefined;
  readonly guarded: readonly number[];
  readonly guardDistance: number;
  /** `where` asks for images of no higher number */
  readonly last?: number | undefined;
}

/** The obvious way: everything sorted, gone down by hand, each row compared with all that were taken. */
function expectedRows(all: readonly TestRecord[][], { k, p, near, guarded, guardDistance, last }: Rules) {
  const partitions = all.map((list) =>
    list.filter((one) => "image" in one && one.image <= (last ?? Number.POSITIVE_INFINITY)),
  );
  const images = new Map(
    partitions.flat().flatMap((record) => ("image" in record ? [[hex(record.image), record.image] as const] : [])),
  );
  const lists = sortedRows(partitions, CLASSES, Number.POSITIVE_INFINITY, p);
  const isGuarded = (image: number): boolean =>
    guarded.some(
      (other) =>
        other === image ||
        (pdqOf(image).quality >= 50 &&
          pdqOf(other).quality >= 50 &&
          bitsBetween(pdqOf(image).hash, pdqOf(other).hash) <= guardDistance),
    );
  const rows: string[][] = lists.map(() => []);
  const order =
    near?.within === "version"
      ? lists
          .flatMap((list, index) => list.map((row) => ({ ...row, index })))
          .sort(
            (a, b) =>
              (Math.abs(a.key - b.key) > 1e-9 ? b.key - a.key : 0) ||
              (a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : a.index - b.index),
          )
      : lists.flatMap((list, index) => list.map((row) => ({ ...row, index })));
  for (const { sha256, index } of order) {
    const image = images.get(sha256)!;
    if (rows[index]!.length === k || isGuarded(image)) continue;
    const others = near?.within === "version" ? rows.flat() : rows[index]!;
    const own = pdqOf(image);
    const isNear =
      near !== undefined &&
      own.quality >= 50 &&
      others.some((other) => {
        const { hash, quality } = pdqOf(images.get(other)!);
        return other !== sha256 && quality >= 50 && bitsBetween(own.hash, hash) <= near.distance;
      });
    if (!isNear) rows[index]!.push(sha256);
  }
  return rows;
}

async function cutOf(partitions: readonly TestRecord[][], lengths: readonly number[], rules: Rules, reserve: number) {
  const store = openMemoryStore();
  for (const [partition, list] of partitions.entries()) {
    const chain = await liveChain(store, { teacher, stream, partition }, 0);
    await archiveRecords(store, chain, list, lengths, TOP_M, { pdqOf });
  }
  if (rules.guarded.length > 0) await addGuardSet(store, guardOf(rules.guarded, rules.guardDistance));
  const { k, p, near, last } = rules;
  // `testSegment` gives an image 10 bytes and its number's.
  const where = last === undefined ? undefined : { sizeBytes: { most: 10 + last } };
  const dataset = datasetSchema.parse({ name: "d", select: { k, p, near, where }, reserve });
  const frontier = await currentFrontier(store, { teacher, stream });
  return () => cut({ store, dataset, card, stream, frontier, trigger: "test" });
}

const records = fc.array(
  fc.integer({ min: 0, max: 60 }).map((image): TestRecord => ({ image, logits: tiedLogits(image, CLASSES) })),
  { maxLength: 70 },
);
const rules: fc.Arbitrary<Rules> = fc.record({
  k: fc.integer({ min: 1, max: 9 }),
  p: fc.integer({ min: 1, max: TOP_M }),
  near: fc.option(
    fc.record({
      distance: fc.integer({ min: 0, max: 12 }),
      within: fc.constantFrom("class" as const, "version" as const),
    }),
    { nil: undefined },
  ),
  guarded: fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 5 }),
  guardDistance: fc.integer({ min: 0, max: 12 }),
  last: fc.option(fc.integer({ min: 5, max: 60 }), { nil: undefined, freq: 1 }),
});

test("a cut leaves out what going down the ranks by hand leaves out, whatever the reserve and the segments", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(records, { minLength: 1, maxLength: 2 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
      rules,
      fc.integer({ min: 0, max: 3 }),
      async (partitions, lengths, one, reserve) => {
        const make = await cutOf(partitions, lengths, one, reserve);
        const expected = expectedRows(partitions, one);
        const found: string[][] = [];
        const made = await make();
        for await (const rows of made.classes) {
          found.push(
            Array.from({ length: rows.count }, (_, row) =>
              Buffer.from(rows.digest.subarray(32 * row, 32 * row + 32)).toString("hex"),
            ),
          );
          const out: readonly LeftOut[] = rows.leftOut ?? [];
          for (const { sha256, by, partner, distance } of out) {
            assert.ok(!found.at(-1)!.includes(sha256));
            assert.ok(distance <= (by === "near" ? one.near!.distance : one.guardDistance));
            if (by === "guard") assert.ok(one.guarded.map(hex).includes(partner));
          }
        }
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 80 },
  );
});

test("twenty orders of the same images, with near duplicates and guarded ones, give one id", async () => {
  const images = Array.from({ length: 120 }, (_, image) => image % 90);
  const one: Rules = { k: 6, p: 2, near: { distance: 8, within: "version" }, guarded: [3, 25, 61], guardDistance: 4 };
  const ids = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const random = seeded(seed);
    const order = images
      .map((image) => ({ image, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ image }): TestRecord => ({ image, logits: tiedLogits(image, CLASSES) }));
    const half = Math.floor(random() * order.length);
    const make = await cutOf([order.slice(0, half), order.slice(half)], [1 + Math.floor(random() * 30)], one, seed % 4);
    ids.add(await versionId(await make()));
  }
  assert.equal(ids.size, 1);
});

test("both are in the id, and where neither is set the id is what it was", async () => {
  const list = Array.from({ length: 40 }, (_, image): TestRecord => ({ image, logits: tiedLogits(image, CLASSES) }));
  const idOf = async (one: Partial<Rules>): Promise<string> =>
    versionId(
      await (
        await cutOf([list], [7], { k: 5, p: 1, near: undefined, guarded: [], guardDistance: 0, ...one }, 2)
      )(),
    );
  const near = { distance: 4, within: "class" } as const;
  const ids = await Promise.all([
    idOf({}),
    idOf({ near }),
    idOf({ near: { ...near, within: "version" } }),
    idOf({ guarded: [200] }),
    idOf({ guarded: [200], guardDistance: 1 }),
    idOf({ near, guarded: [200] }),
  ]);
  assert.equal(new Set(ids).size, ids.length);
  // Of the commit before either was there.
  assert.equal(ids[0], "27b9b9420aef89798c7689c93f351543e52a617c57c6d9a3df2164245e2f6ccd");
});

test("a cut that has to read deeper says so, and marks rows whose bytes nobody promised to keep", async () => {
  // Twelve images of one class: eleven of one picture, and one more.
  const list = Array.from({ length: 12 }, (_, at): TestRecord => ({ image: 11 * at, logits: [9 - at / 100, 0, 0, 0] }));
  const other: TestRecord = { image: 1, logits: [4, 0, 0, 0] };
  const make = await cutOf(
    [[...list, other]],
    [5],
    { k: 2, p: 1, near: { distance: 63, within: "class" }, guarded: [], guardDistance: 0 },
    1,
  );
  const made = await make();
  for await (const rows of made.classes) {
    if (rows.class !== 0) continue;
    assert.ok(rows.count >= 2);
    assert.equal(rows.deep?.[rows.count - 1], 1);
  }
  assert.ok(made.read!.deeper > 0);
});
