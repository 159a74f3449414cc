import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { rowChecksum } from "../../../operators/archive/row-records.js";
import { withPin } from "../../../operators/archive/pins.js";
import { LocalScoreIndex } from "../../../pipelines/flow/score-index.js";
import { archivedStream, type ArchivedStream } from "../../fixtures/archived-stream.js";
import { allSegments, compactAt, NOW_MS } from "../../fixtures/compacting.js";
import { compactChain } from "../../../operators/archive/compact-chain.js";
import { KeptAgain } from "../../../operators/pack/kept-again.js";
import { imageDigest } from "../../fixtures/archive.js";
import { madeImage } from "../../fixtures/cuts.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { memoryTable } from "../../fixtures/memory-table.js";
import { keepImages, madeImages, PACK_CHAIN } from "../../fixtures/packs.js";
import { rowScores } from "../../../operators/archive/segment-builder.js";

/** Checksums of each image's rows, by digest: the index is to give one of them. */
async function expected({ store, chains }: ArchivedStream): Promise<Map<string, Set<number>>> {
  const scores = new Map<string, Set<number>>();
  for (const { batch } of await allSegments(store, chains)) {
    for (let row = 0; row < batch.count; row++) {
      const digest = batch.digest.subarray(row * 32, (row + 1) * 32);
      const hex = Buffer.from(digest).toString("hex");
      scores.set(hex, (scores.get(hex) ?? new Set()).add(rowChecksum(digest, rowScores(batch, row))));
    }
  }
  return scores;
}

async function assertKnows(index: LocalScoreIndex, scores: ReadonlyMap<string, ReadonlySet<number>>): Promise<void> {
  for (const [hex, checksums] of scores) {
    const digest = Buffer.from(hex, "hex");
    await index.look(digest);
    const found = await index.find(digest);
    assert(found !== null && "scores" in found, `${hex} is not known`);
    assert(checksums.has(rowChecksum(digest, found.scores)), `${hex} has other scores`);
  }
  for (let image = 0; image < 200; image++) {
    const digest = imageDigest(1_000_000 + image);
    await index.look(digest);
    assert.equal(index.find(digest), null);
  }
}

test("whatever of a chain was compacted, merged and swept, the index has each image's scores and no other's", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        records: fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 3 }),
        length: fc.integer({ min: 1, max: 12 }),
        seed: fc.nat({ max: 1000 }),
        segmentsPerRun: fc.integer({ min: 1, max: 5 }),
        days: fc.integer({ min: 0, max: 3 }),
        isNew: fc.boolean(),
      }),
      async ({ records, length, seed, segmentsPerRun, days, isNew }) => {
        const archive = await archivedStream({ records, length, seed });
        const { store, teacher, stream, chains } = archive;
        const scores = await expected(archive);
        const table = memoryTable();
        const open = (): LocalScoreIndex => new LocalScoreIndex(store, table, { teacher, stream, leftAtLeast: 1 });
        const early = open();
        if (!isNew) for (const chain of chains) await early.catchUp(chain);
        for (let day = 0; day < days; day++)
          await compactAt(store, archive, day, { segmentsPerRun, dueOnly: day === 0 });
        if (!isNew) await assertKnows(early, scores);
        const late = open();
        for (const chain of chains) await late.catchUp(chain);
        await assertKnows(late, scores);
        const ends = await new ArchiveReader(store, { teacher, stream }).frontier();
        assert.deepEqual(
          ends.map(({ end }) => end),
          records,
        );
      },
    ),
    { numRuns: 12 },
  );
});

test("a new machine reads the tail alone, and finds the rest by the runs' own indexes when their files have gone to higher ones", async () => {
  const archive = await archivedStream({ records: [120] });
  const { store, teacher, stream, chains } = archive;
  await compactAt(store, archive, 0, { segmentsPerRun: 4, dueOnly: true });
  const scores = await expected(archive);
  const table = memoryTable();
  const index = new LocalScoreIndex(store, table, { teacher, stream, leftAtLeast: 1 });
  const { end } = await index.catchUp(chains[0]!);
  assert.equal(end, 120);
  assert(table.entries.size < scores.size / 2, `${table.entries.size} entries`);
  await assertKnows(index, scores);
  await compactAt(store, archive, 1);
  await compactAt(store, archive, 2);
  await assertKnows(index, scores);
});

test("rows with fewer classes than are archived now are not known", async () => {
  const archive = await archivedStream({ records: [60], classes: 5 });
  const { store, teacher, stream, chains } = archive;
  for (const isCompacted of [false, true]) {
    if (isCompacted) await compactAt(store, archive, 0);
    const index = new LocalScoreIndex(store, memoryTable(), { teacher, stream, topM: 6, leftAtLeast: 1 });
    await index.catchUp(chains[0]!);
    await assertKnows(index, new Map());
    for (const hex of (await expected(archive)).keys()) {
      await index.look(Buffer.from(hex, "hex"));
      assert.equal(index.find(Buffer.from(hex, "hex")), null);
    }
  }
});

test("an index that was opened before goes on under a pin of somebody's, and after it", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, teacher, stream, chains } = archive;
  const scores = await expected(archive);
  const index = new LocalScoreIndex(store, memoryTable(), { teacher, stream });
  await index.catchUp(chains[0]!);
  await withPin(store, archive, { name: "a", nowMs: () => NOW_MS - 1 }, async () => {
    await compactAt(store, archive, 0);
    await compactAt(store, archive, 0.2);
    await assertKnows(index, scores);
  });
  await compactAt(store, archive, 0.3);
  await assertKnows(index, scores);
});

test("an image that a run's own index leads to is named in the pack that keeps it, and not stored once more", async () => {
  const store = openMemoryStore();
  const images = madeImages(9, "kept");
  for (const start of [0, 3, 6]) await keepImages(images.slice(start, start + 3), start, { store });
  const { teacher, stream } = PACK_CHAIN;
  await compactChain({
    store,
    chain: PACK_CHAIN,
    dueOnly: false,
    beforeMs: null,
    segmentsPerRun: 256,
    attempt: () => "run",
    nowMs: () => NOW_MS,
    onRun: () => undefined,
  });
  const options = { teacher, stream, leftAtLeast: 1 };
  const index = new LocalScoreIndex(store, memoryTable(), options, memoryTable());
  await index.catchUp(PACK_CHAIN);
  const keptAgain = new KeptAgain({
    store,
    archive: PACK_CHAIN,
    packOf: (digest) => index.packOf(digest),
    name: "again",
    nowMs: () => NOW_MS,
  });
  // As the flow does before it asks for the scores
  for (const { digest } of images) await index.look(digest);
  const packs = [...store.objects.keys()].filter((key) => key.endsWith(".pack"));
  const { header, batch } = await keepImages([...images, madeImage("new")], 9, { store, keptAgain });
  await keptAgain.close();
  const added = [...store.objects.keys()].filter((key) => key.endsWith(".pack") && !packs.includes(key));
  assert.equal(added.length, 1, "of the new image alone");
  const named = Array.from({ length: 10 }, (_, row) => batch.pack.get(row)!.split("-")[0]);
  assert.deepEqual(named.slice(0, 9), ["0", "0", "0", "3", "3", "3", "6", "6", "6"]);
  assert.equal(named[9], String(header.start));
});
