import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import { openScratch } from "../../../connectors/store/filesystem/disk-scratch.js";
import type { Store } from "../../../connectors/store/store.js";
import { ArchiveReader, currentFrontier } from "../../../operators/archive/archive-reader.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { ranking } from "../../../operators/select/ranking.js";
import type { TopkRows } from "../../../operators/topk/topk.js";
import type { ChosenClass } from "../../../operators/version/choose-rows.js";
import { EntryPlaces } from "../../../operators/version/entry-places.js";
import { rowsOfClasses, type RowBounds } from "../../../operators/version/rows-of-classes.js";
import type { ChosenRows } from "../../../schemas/chosen-rows.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, imageDigest, testCard } from "../../fixtures/archive.js";
import { countReads } from "../../fixtures/counted-reads.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const CLASSES = 4;
const IMAGES = 40;
const card = testCard(CLASSES);
const archived = { teacher: teacherDigest(card), stream: "images" };
const byLogProbability = ranking(datasetSchema.parse({ name: "d", select: { k: 1, p: CLASSES } }).select, card);
/** As where another thing ranks: probabilities are read from the archived scores. */
const byAnother = { ...byLogProbability, byProbability: false };

/** Images of two partitions, their rows in segments of some lengths */
async function archiveTwo(store: Store, lengths: readonly number[]): Promise<void> {
  for (const partition of [0, 1]) {
    const chain = await liveChain(store, { ...archived, partition }, 0);
    const records = Array.from({ length: IMAGES }, (_, offset) => {
      const image = IMAGES * partition + offset;
      return { image, logits: tiedLogits(image, CLASSES) };
    });
    await archiveRecords(store, chain, records, lengths, CLASSES);
  }
}

/** A class of chosen images, in the order in which they stand in it. */
function classOf(index: number, images: readonly number[]): ChosenClass {
  const rows: TopkRows = {
    count: images.length,
    keys: Float64Array.from(images, (_, row) => -1 - row),
    identity: Uint32Array.from(
      images.flatMap((image) => [0, 4, 8, 12].map((at) => Buffer.from(imageDigest(image)).readUInt32BE(at))),
    ),
    partition: Uint16Array.from(images, (image) => Math.floor(image / IMAGES)),
    offset: Float64Array.from(images, (image) => image % IMAGES),
  };
  const entries = () => ({ class: index, rows, repeat: new Uint32Array(images.length) });
  return { class: index, count: images.length, entries, isByLabel: () => false };
}

async function read(store: Store, classes: readonly ChosenClass[], bounds: RowBounds, ranked = byAnother) {
  const frontier = await currentFrontier(store, archived);
  const archive = { archive: new ArchiveReader(store, archived), stream: "images", frontier, ranking: ranked };
  const found: ChosenRows[] = [];
  for await (const rows of rowsOfClasses(archive, () => Promise.resolve(classes), bounds)) found.push(rows);
  return found;
}

/** Softmax, written out */
function probabilityOf(image: number, classIndex: number): number {
  const logits = tiedLogits(image, CLASSES).map(Math.exp);
  return logits[classIndex]! / logits.reduce((sum, one) => sum + one, 0);
}

test("chosen rows are what was archived, however many fit into memory and into one reading", async (t) => {
  const folder = await temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(fc.nat(2 * IMAGES - 1), { maxLength: 30 }), { minLength: 1, maxLength: CLASSES }),
      fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 3 }),
      fc.record({
        groupRows: fc.integer({ min: 1, max: 60 }),
        memoryRows: fc.integer({ min: 1, max: 60 }),
        passRows: fc.integer({ min: 1, max: 120 }),
      }),
      fc.boolean(),
      async (lists, lengths, bounds, isLogProbability) => {
        const store = Object.assign(openMemoryStore(), { scratch: () => openScratch(folder) });
        await archiveTwo(store, lengths);
        const classes = lists.map((images, index) => classOf(index, images));
        const found = await read(store, classes, bounds, isLogProbability ? byLogProbability : byAnother);
        assert.deepEqual(
          found.map((rows) => rows.class),
          lists.map((_, index) => index),
        );
        for (const [index, rows] of found.entries()) {
          const images = lists[index]!;
          assert.equal(rows.count, images.length);
          images.forEach((image, row) => {
            const [partition, offset] = [Math.floor(image / IMAGES), image % IMAGES];
            assert.deepEqual([...rows.digest.subarray(32 * row, 32 * row + 32)], [...imageDigest(image)]);
            assert.equal(rows.uri[row], `file:///${partition}/${offset}.png`);
            assert.equal(rows.licence[row], offset % 2 === 0 ? "CC0" : null);
            assert.equal(rows.origin[row], null);
            assert.equal(rows.notes[row], offset % 3 === 0 ? "wrong-extension,cmyk" : null);
            assert.equal(rows.pack[row], null);
            assert.equal(rows.eventTimeMs[row], 1000 + offset);
            assert.equal(rows.sizeBytes[row], 10 + image);
            assert.deepEqual([rows.width[row], rows.height[row]], [8, 8]);
            const probability = isLogProbability ? Math.exp(-1 - row) : probabilityOf(image, index);
            assert.ok(Math.abs(rows.probability[row]! - probability) < 1e-6);
          });
        }
        await store.close();
      },
    ),
    { numRuns: 30 },
  );
});

test("rows of many groups are read from the archive once, and again where the store has no scratch file", async (t) => {
  const store = await openFilesystemStore(await temporaryFolder(t));
  await archiveTwo(store, [8]);
  const all = Array.from({ length: 2 * IMAGES }, (_, image) => image);
  const classes = Array.from({ length: CLASSES }, (_, index) => classOf(index, all));
  const counts = countReads(t);
  const bytesOf = async (from: Store, bounds: RowBounds): Promise<number> => {
    counts.clear();
    await read(from, classes, bounds);
    return [...counts].reduce((sum, [path, bytes]) => sum + (path.endsWith(".arrow") ? bytes : 0), 0);
  };
  const inOne = await bytesOf(store, {});
  assert.ok(inOne > 0);
  assert.equal(await bytesOf(store, { groupRows: 2 * IMAGES, memoryRows: 100 }), inOne);
  const withoutScratch = new Proxy(store, {
    get: (target, name) => {
      const value: unknown = name === "scratch" ? undefined : Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  assert.ok((await bytesOf(withoutScratch, { groupRows: 2 * IMAGES, memoryRows: 100 })) > 2 * inOne);
  await store.close();
});

test("an entry whose row is another image's is refused, and none whose row is missing is passed over", async () => {
  const store = openMemoryStore();
  await archiveTwo(store, [8]);
  const place = classOf(0, [3]).entries().rows;
  const other = { ...place, identity: classOf(0, [4]).entries().rows.identity };
  const beginsAlike = { ...place, identity: place.identity.map((word, at) => (at === 3 ? word ^ 1 : word)) };
  const reading = (rows: TopkRows) => {
    const entries = () => ({ class: 0, rows, repeat: new Uint32Array(1) });
    return read(store, [{ class: 0, count: 1, entries, isByLabel: () => false }], {});
  };
  await assert.rejects(reading(other), (error) => isSluiceError(error, "E_CHAIN_GAP"));
  await assert.rejects(reading(beginsAlike), (error) => isSluiceError(error, "E_SEGMENT_CORRUPT"));
});

test("places are put in the order of partition and offset, as by comparing", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(0xffff), fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 48 - 1 }))), {
        maxLength: 200,
        size: "max",
      }),
      (list) => {
        const places = EntryPlaces.of([
          {
            count: list.length,
            keys: new Float64Array(list.length),
            identity: Uint32Array.from({ length: 4 * list.length }, (_, at) => at),
            partition: Uint16Array.from(list, ([partition]) => partition),
            offset: Float64Array.from(list, ([, offset]) => offset),
          },
        ]);
        const order = list.map((_, place) => places.entryAt(place));
        assert.deepEqual(
          order.toSorted((a, b) => a - b),
          [...list.keys()],
        );
        const sorted = list.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
        order.forEach((entry, place) => {
          assert.deepEqual(list[entry], sorted[place]);
          assert.deepEqual([places.partitionAt(place), places.offsetAt(place)], sorted[place]);
          assert.equal(places.firstWordAt(place), 4 * entry);
        });
      },
    ),
  );
});
