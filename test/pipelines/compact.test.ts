import assert from "node:assert/strict";
import { test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { cut, type CutOptions } from "../../operators/state/cut.js";
import { withPin } from "../../operators/archive/pins.js";
import { versionId } from "../../operators/version/publish.js";
import { readSegment, writeSegment } from "../../operators/archive/segment-objects.js";
import { chainTotals } from "../../pipelines/versions/chain-totals.js";
import { claimChains } from "../../operators/archive/chain-claims.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { Manifest } from "../../schemas/manifest.js";
import { testSegment } from "../fixtures/archive.js";
import { archivedStream, type ArchivedStream } from "../fixtures/archived-stream.js";
import {
  allSegments,
  compactAt,
  DATASET,
  idOf,
  NOW_MS,
  runFiles,
  runIndexes,
  segmentObjects,
  segmentsDiffer,
} from "../fixtures/compacting.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const logits = [5, 4, 3, 2, 1];

test("on a filesystem store the version is the same before, half compacted, merged and swept", async (t) => {
  const archive = await archivedStream({ records: [720, 45] });
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  t.after(() => store.close());
  for (const [key, bytes] of archive.store.objects) await store.put(key, bytes);
  const before = await allSegments(store, archive.chains);
  const id = await idOf(store, archive);

  const stop = new AbortController();
  const half = await compactAt(store, archive, 0, {
    segmentsPerRun: 10,
    signal: stop.signal,
    onProgress: ({ done }) => {
      if (done === 30) stop.abort();
    },
  });
  assert.deepEqual([half.stopped, half.segments, half.runs], [true, 30, 3]);
  assert.equal((await segmentObjects(store)).length, 77, "nothing is deleted before its time");
  assert.equal(await idOf(store, archive), id);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);

  const rest = await compactAt(store, archive, 1, { segmentsPerRun: 10 });
  assert.deepEqual([rest.stopped, rest.segments, rest.runs, rest.merged], [false, 47, 6, 1]);
  assert.deepEqual([rest.swept.segments, rest.swept.files], [30, 0]);
  assert.equal(await idOf(store, archive), id);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);

  const { swept } = await compactAt(store, archive, 2);
  assert.deepEqual([swept.segments, swept.files], [47, 8]);
  assert.deepEqual(await segmentObjects(store), []);
  assert.equal((await runFiles(store)).length, 2);
  assert.equal(await idOf(store, archive), id);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);
});

test("a segment that is written late over a run is a conflict, ranked by nobody, and swept", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, chains } = archive;
  const [chain] = chains;
  const id = await idOf(store, archive);
  await compactAt(store, archive, 0);
  const late = new ChainReader(store, chain!);
  await late.runs.end();
  await compactAt(store, archive, 1);
  assert.deepEqual(await segmentObjects(store), []);
  // Its key is free again, and its writer knows of no run that is younger than its start.
  const forged = testSegment(chain!, 20, [{ image: 1, logits: [1, 2, 3, 4, 99] }], 5);
  assert.equal(await writeSegment(store, chain!, forged), "created");
  await assert.rejects(late.runs.assertNoneBeyond(20), (error) => isSluiceError(error, "E_CHAIN_CONFLICT"));
  assert.equal(await idOf(store, archive), id);
  assert.equal((await compactAt(store, archive, 2)).swept.segments, 1);
});

test("what is compacted is left alone, and a replay's chain is compacted, too", async () => {
  const archive = await archivedStream();
  const { store, chains } = archive;
  const replay = { ...chains[0]!, partition: 2, origin: 30 };
  await claimChains(store, replay, () => [{ partition: 2, origin: 30, end: 40 }]);
  await writeSegment(store, replay, testSegment(replay, 30, [{ image: 1, logits }], 5));
  const first = await compactAt(store, archive, 0);
  assert.deepEqual([first.chains, first.segments, first.runs, first.merged], [3, 12, 3 + 3 + 1, 2]);
  const objects = new Map(store.objects);
  const second = await compactAt(store, archive, 0);
  assert.deepEqual([second.segments, second.runs, second.merged, second.swept.files], [0, 0, 0, 0]);
  assert.deepEqual(store.objects, objects);
});

test("only segments that are old enough, in runs of the length asked for; a dry run writes nothing", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store } = archive;
  const objects = new Map(store.objects);
  const options = { beforeMs: 1045, segmentsPerRun: 3 };
  const dry = await compactAt(store, archive, 0, { ...options, dryRun: true });
  assert.deepEqual([dry.segments, dry.runs, dry.bytesAfter], [4, 2, null]);
  assert.deepEqual(store.objects, objects);
  const done = await compactAt(store, archive, 0, options);
  assert.deepEqual([done.segments, done.runs, done.rows], [4, 2, dry.rows]);
  assert.equal(done.bytesBefore, dry.bytesBefore);
  assert.equal(await new ChainReader(store, archive.chains[0]!).runs.end(), 40);
});

test("by itself it takes more than 256 segments however few their rows, and eight runs become one", async () => {
  const archive = await archivedStream({ records: [2049], length: 1 });
  const { store } = archive;
  const before = await allSegments(store, archive.chains);
  const few = await archivedStream({ records: [256], length: 1 });
  assert.equal((await compactAt(few.store, few, 0, { dueOnly: true, segmentsPerRun: 256 })).segments, 0);
  const done = await compactAt(store, archive, 0, { dueOnly: true, segmentsPerRun: 256 });
  assert.deepEqual([done.segments, done.runs, done.merged], [2048, 8, 1]);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);
  const { swept } = await compactAt(store, archive, 1, { dueOnly: true, segmentsPerRun: 256 });
  assert.deepEqual([swept.segments, swept.files], [2048, 8]);
  assert.equal((await segmentObjects(store)).length, 1);
  assert.equal((await runFiles(store)).length, 1);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);
});

test("what is scored later follows on the runs, and every boundary has its totals", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, chains, teacher, stream } = archive;
  const [chain] = chains;
  const totalsAt = (end: number) =>
    chainTotals(store, {
      teacher: { digest: teacher },
      provenance: { stream, frontier: [{ partition: 0, origin: 0, end }], incomplete: false },
    } as Manifest);
  const before = [];
  for (let end = 0; end <= 60; end += 10) before.push(await totalsAt(end));
  await compactAt(store, archive, 0, { segmentsPerRun: 4 });
  await compactAt(store, archive, 1);
  await writeSegment(store, chain!, testSegment(chain!, 60, [{ image: 900, logits }, { refused: "no" }], 5));
  const after = [];
  for (let end = 0; end <= 60; end += 10) after.push(await totalsAt(end));
  assert.deepEqual(after, before);
  const all = await totalsAt(62);
  assert.deepEqual([all.scored, all.quarantined], [before.at(-1)!.scored + 1, before.at(-1)!.quarantined + 1]);
  await assert.rejects(totalsAt(15), (error) => isSluiceError(error, "E_CHAIN_CONFLICT"));
});

test("segments without rows are in runs, too, and a file ends where the archive's columns change", async () => {
  const archive = await archivedStream({ records: [20] });
  const { store, chains } = archive;
  const chain = chains[0]!;
  await writeSegment(store, chain, testSegment(chain, 20, [{ refused: "no image" }], 5));
  await writeSegment(store, chain, testSegment(chain, 21, [{ image: 900, logits }], 3));
  await writeSegment(store, chain, testSegment(chain, 22, [{ image: 901, logits }], 5, { allLogits: 5 }));
  const before = await allSegments(store, chains);
  const done = await compactAt(store, archive, 0, { segmentsPerRun: 9 });
  assert.deepEqual([done.segments, done.runs], [5, 1]);
  assert.equal((await runFiles(store)).length, 3);
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
});

test("a corrupt or missing segment ends what is compacted, is named with its offsets, and is compacted when it is put back", async () => {
  for (const damage of ["corrupt", "missing"] as const) {
    const archive = await archivedStream({ records: [80] });
    const { store, chains } = archive;
    const key = keys.segment(chains[0]!, 40);
    const whole = await store.get(key);
    const bytes = Uint8Array.from(whole);
    bytes[700]! ^= 4;
    if (damage === "missing") await store.delete(key);
    else await store.put(key, bytes);
    const done = await compactAt(store, archive, 0, { segmentsPerRun: 9 });
    const code = damage === "missing" ? "E_CHAIN_GAP" : "E_SEGMENT_CORRUPT";
    assert.deepEqual(
      done.refused.map(({ start, end, error }) => [start, end, error.code]),
      [[40, 50, code]],
    );
    assert.deepEqual([done.segments, done.runs], [4, 1]);
    await store.put(key, whole);
    assert.equal((await compactAt(store, archive, 1)).segments, 4);
  }
});

test("a pin holds what it may read, until it ends or its time does", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store } = archive;
  const pinned = { name: "a", nowMs: () => NOW_MS - 1 };
  await withPin(store, archive, pinned, async () => {
    await compactAt(store, archive, 0);
    assert.equal((await compactAt(store, archive, 0.2)).swept.segments, 0);
    assert.equal((await segmentObjects(store)).length, 6);
  });
  assert.equal((await compactAt(store, archive, 0.2)).swept.segments, 6);
  const young = await archivedStream({ records: [60] });
  await compactAt(young.store, young, 0);
  await withPin(young.store, young, { name: "b", nowMs: () => NOW_MS + 1 }, async () => {
    assert.equal((await compactAt(young.store, young, 0.2)).swept.segments, 6, "it began when the run was there");
  });
});

async function damagedRun(): Promise<{ archive: ArchivedStream; file: string; bytes: Uint8Array }> {
  const archive = await archivedStream({ records: [60] });
  await compactAt(archive.store, archive, 0, { segmentsPerRun: 2, dueOnly: true });
  await compactAt(archive.store, archive, 1, { dueOnly: true });
  const [, file] = await runFiles(archive.store);
  return { archive, file: file!, bytes: await archive.store.get(file!) };
}

for (const damage of ["missing", "cut short", "changed"] as const) {
  test(`a run's file that is ${damage} is an error that names it and the offsets, and a gap where gaps are allowed`, async () => {
    const { archive, file, bytes } = await damagedRun();
    const { store, teacher, stream, card } = archive;
    if (damage === "missing") await store.delete(file);
    if (damage === "cut short") await store.put(file, bytes.subarray(0, 500));
    if (damage === "changed") {
      bytes[300]! ^= 1;
      await store.put(file, bytes);
    }
    const whole = await currentFrontier(store, { teacher, stream });
    const options = { store, dataset: DATASET, card, stream, frontier: whole, trigger: "test", checkpoints: false };
    await assert.rejects(cut(options), (error: unknown) => {
      assert.ok(isSluiceError(error, "E_SEGMENT_CORRUPT"));
      assert.ok(error.message.includes(file), error.message);
      assert.match(error.message, /offsets \[20, 40\) of images\/0/);
      return true;
    });
    const gaps: string[] = [];
    const onGap: CutOptions["onGap"] = ({ start, end, error }) => gaps.push(`${start}-${end} ${error.code}`);
    await versionId(await cut({ ...options, onGap }));
    assert.deepEqual(gaps, ["20-40 E_SEGMENT_CORRUPT"]);
  });
}

test("any bit that is flipped in a segment, a run's index or a row group is noticed, named, and never ranked", async () => {
  const archive = await archivedStream({ records: [40] });
  const { store, teacher, stream, card, chains } = archive;
  await compactAt(store, archive, 0, { segmentsPerRun: 2, beforeMs: 1020 });
  await compactAt(store, archive, 1, { beforeMs: 1020 });
  const frontier = await currentFrontier(store, { teacher, stream });
  const id = await idOf(store, archive);
  const objects = [...(await segmentObjects(store)), ...(await runFiles(store)), ...(await runIndexes(store))];
  assert.ok(objects.length >= 4);
  const [file] = await runFiles(store);
  const index = await new ChainReader(store, chains[0]!).runs.indexAt(0);
  let step = 0;
  for (const key of objects) {
    const whole = await store.get(key);
    // A Parquet file's own footer is others' to read: Sluice reads row groups.
    const end = key === file ? index.rowGroups.at(-1)!.end : whole.length;
    const start = key === file ? 8 : 0;
    for (let bit = start * 8; bit < end * 8; bit += 1 + (step++ % 131)) {
      const bytes = Uint8Array.from(whole);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      await store.put(key, bytes);
      const options = { store, dataset: DATASET, card, stream, frontier, trigger: "test", checkpoints: false };
      await assert.rejects(
        async () => versionId(await cut(options)),
        (error: unknown) => {
          assert.ok(isSluiceError(error, "E_SEGMENT_CORRUPT"), `bit ${bit} of ${key}: ${String(error)}`);
          return error.message.includes(key);
        },
        `bit ${bit} of ${key}`,
      );
    }
    await store.put(key, whole);
  }
  assert.equal(await idOf(store, archive), id);
});

test("a rank key above 0 is refused: it was never a log-probability", async () => {
  const archive = await archivedStream({ records: [20] });
  const { store, chains } = archive;
  const segment = await readSegment(store, chains[0]!, 10);
  const forged = segment.batch.keys.slice();
  forged[0] = 0.54;
  await store.delete(keys.segment(chains[0]!, 10));
  await writeSegment(store, chains[0]!, { ...segment, batch: { ...segment.batch, keys: forged } });
  await assert.rejects(idOf(store, archive), /a rank key above 0/);
});
