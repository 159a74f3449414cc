import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { currentFrontier } from "../../../operators/archive/archive-reader.js";
import { cut } from "../../../operators/state/cut.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { writeCheckpoint } from "../../../operators/state/checkpoint.js";
import { DatasetState } from "../../../operators/topk/dataset-state.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys, type ChainName } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, testCard, type TestRecord } from "../../fixtures/archive.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { sortedRows, tiedLogits, type SortedRow } from "../../fixtures/sorted-rows.js";

const CLASSES = 5;
const TOP_M = 4;
const card = testCard(CLASSES);
const teacher = teacherDigest(card);
const stream = "images";

/** Few images and few distinct logits: duplicates and ties are common. */
const records: fc.Arbitrary<TestRecord[]> = fc.array(
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc.integer({ min: 0, max: 30 }).map((image) => ({ image, logits: tiedLogits(image, CLASSES) })),
    },
    { weight: 1, arbitrary: fc.constant({ refused: "no image" }) },
  ),
  { maxLength: 60 },
);

async function rowsOf(made: Awaited<ReturnType<typeof cut>>): Promise<SortedRow[][]> {
  const all: SortedRow[][] = [];
  for await (const rows of made.classes) {
    assert.equal(rows.class, all.length);
    all.push(
      Array.from({ length: rows.count }, (_, row) => {
        const partition = rows.partition[row]!;
        const offset = rows.offset[row]!;
        assert.equal(rows.uri[row], `file:///${partition}/${offset}.png`);
        assert.equal(rows.licence[row], offset % 2 === 0 ? "CC0" : null);
        assert.equal(rows.eventTimeMs[row], 1000 + offset);
        return {
          sha256: Buffer.from(rows.digest.subarray(row * 32, row * 32 + 32)).toString("hex"),
          key: rows.keys[row]!,
          partition,
          offset,
        };
      }),
    );
  }
  return all;
}

test("a cut chooses what sorting everything chooses, whatever the segments and checkpoints", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(records, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: TOP_M }),
      fc.nat(10),
      async (partitions, lengths, k, p, checkpointAfter) => {
        const store = openMemoryStore();
        const dataset = datasetSchema.parse({ name: "d", select: { k, p }, reserve: 1 });
        const chains: ChainName[] = [];
        for (const [partition, list] of partitions.entries()) {
          const chain = await liveChain(store, { teacher, stream, partition }, 0);
          chains.push(chain);
          await archiveRecords(store, chain, list, lengths, TOP_M);
        }
        const frontier = await currentFrontier(store, { teacher, stream });
        assert.deepEqual(
          frontier.map(({ end }) => end),
          partitions.map((list) => list.length),
        );
        const options = { store, dataset, card, stream, frontier, trigger: "test" };
        const expected = sortedRows(partitions, CLASSES, k, p);
        const compare = (found: SortedRow[][]) => {
          assert.deepEqual(
            found.map((rows) => rows.map(({ sha256, partition, offset }) => ({ sha256, partition, offset }))),
            expected.map((rows) => rows.map(({ sha256, partition, offset }) => ({ sha256, partition, offset }))),
          );
          found.flat().forEach((row, index) => {
            assert.ok(Math.abs(row.key - expected.flat()[index]!.key) < 1e-12);
          });
        };
        const whole = await cut(options);
        compare(await rowsOf(whole));
        const total = partitions.flat().length;
        assert.equal(whole.records.in, total);
        assert.equal(whole.records.in, whole.records.scored + whole.records.copied + whole.records.quarantined);

        // From a checkpoint in the middle, the same.
        const state = new DatasetState({ dataset, teacher, stream, card: testCard(CLASSES) });
        for await (const segment of new ChainReader(store, chains[0]!).segments(0, frontier[0]!.end)) {
          if (segment.header.start >= checkpointAfter) break;
          state.apply(segment);
        }
        await writeCheckpoint(store, state, new Map(), new Map());
        const resumed = await cut(options);
        compare(await rowsOf(resumed));
        assert.deepEqual(resumed.records, whole.records);
      },
    ),
    { numRuns: 60 },
  );
});

async function archive(lengths: readonly number[]): Promise<{ store: MemoryStore; chain: ChainName }> {
  const store = openMemoryStore();
  const chain = await liveChain(store, { teacher, stream, partition: 0 }, 0);
  const list = Array.from({ length: 40 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
  await archiveRecords(store, chain, list, lengths, TOP_M);
  return { store, chain };
}

const dataset = datasetSchema.parse({ name: "d", select: { k: 40, p: 1 } });

test("a missing segment is a gap with its offsets, and is left out only on request", async () => {
  const { store, chain } = await archive([10]);
  await store.delete(keys.segment(chain, 10));
  await assert.rejects(currentFrontier(store, { teacher, stream }), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_CHAIN_GAP"));
    assert.deepEqual(error.context, { start: 10, end: 20, key: keys.segment(chain, 10) });
    assert.match(error.message, /--allow-gaps/);
    return true;
  });
  const gaps: [number, number][] = [];
  const onGap = (gap: { start: number; end: number }) => gaps.push([gap.start, gap.end]);
  const frontier = await currentFrontier(store, { teacher, stream }, { onGap });
  const made = await cut({ store, dataset, card, stream, frontier, trigger: "test", onGap });
  const rows = (await rowsOf(made)).flat();
  assert.equal(made.incomplete, true);
  assert.equal(rows.length, 30);
  assert.deepEqual(gaps, [
    [10, 20],
    [10, 20],
  ]);
  assert.equal(frontier[0]!.end, 40);
});

test("a corrupt segment is named, and passed over only on request", async () => {
  const { store, chain } = await archive([10]);
  const key = keys.segment(chain, 20);
  await store.put(key, (await store.get(key)).subarray(0, 300));
  await assert.rejects(currentFrontier(store, { teacher, stream }), (error: unknown) => {
    assert.ok(isSluiceError(error, "E_SEGMENT_CORRUPT"));
    assert.ok(error.message.includes(key));
    return true;
  });
  const frontier = await currentFrontier(store, { teacher, stream }, { onGap: () => undefined });
  const made = await cut({ store, dataset, card, stream, frontier, trigger: "test", onGap: () => undefined });
  assert.equal((await rowsOf(made)).flat().length, 30);
});

test("a segment copied to a wrong place is refused", async () => {
  const { store, chain } = await archive([10]);
  await store.put(keys.segment(chain, 10), await store.get(keys.segment(chain, 20)));
  await assert.rejects(currentFrontier(store, { teacher, stream }), (error: unknown) =>
    isSluiceError(error, "E_SEGMENT_CORRUPT"),
  );
});

test("a corrupt checkpoint is passed over with a warning, and the archive gives the same rows", async () => {
  for (const kind of ["/at/", "/panes/"]) await checkCorrupt(kind);
});

async function checkCorrupt(kind: string): Promise<void> {
  const { store, chain } = await archive([10]);
  const frontier = await currentFrontier(store, { teacher, stream });
  const state = new DatasetState({ dataset, teacher, stream, card: testCard(CLASSES) });
  for await (const segment of new ChainReader(store, chain).segments(0, 20)) state.apply(segment);
  await writeCheckpoint(store, state, new Map(), new Map());
  const key = [...store.objects.keys()].find((name) => name.includes(kind))!;
  const bytes = Buffer.from(await store.get(key));
  bytes[bytes.length - 3]! ^= 1;
  await store.put(key, bytes);
  const warnings: string[] = [];
  const made = await cut({
    store,
    dataset,
    card,
    stream,
    frontier,
    trigger: "test",
    onWarning: (message) => warnings.push(message),
  });
  assert.equal((await rowsOf(made)).flat().length, 40);
  assert.equal(warnings.length, 1);
  assert.ok(warnings[0]!.includes(key));
}

test("a checkpoint beyond the frontier is not used for a cut below it", async () => {
  const { store, chain } = await archive([10]);
  const state = new DatasetState({ dataset, teacher, stream, card: testCard(CLASSES) });
  for await (const segment of new ChainReader(store, chain).segments(0, 40)) state.apply(segment);
  await writeCheckpoint(store, state, new Map(), new Map());
  const made = await cut({
    store,
    dataset,
    card,
    stream,
    frontier: [{ partition: 0, origin: 0, end: 20 }],
    trigger: "test",
  });
  assert.equal((await rowsOf(made)).flat().length, 20);
  assert.equal(made.records.in, 20);
});
