import assert from "node:assert/strict";
import { test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem.js";
import { followToEnd, writeSegment } from "../../operators/stages/chain.js";
import { currentFrontier, cut, type CutOptions } from "../../operators/stages/cut.js";
import { versionId } from "../../operators/stages/publish.js";
import { parallelReader } from "../../pipelines/runtime/parallel-read.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { encodeStub } from "../../schemas/segment-stub.js";
import { decodeArchived, type SegmentHeader } from "../../schemas/segment.js";
import { testSegment } from "../fixtures/archive.js";
import { archivedStream } from "../fixtures/archived-stream.js";
import {
  allSegments,
  compactAt,
  compactedFiles,
  DATASET,
  idOf,
  namedFiles,
  segmentsDiffer,
} from "../fixtures/compacting.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

test("on a filesystem store the version is the same before, half compacted and after, with threads and without", async (t) => {
  const archive = await archivedStream({ records: [720, 45] });
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  t.after(() => store.close());
  for (const [key, bytes] of archive.store.objects) await store.put(key, bytes);
  const idWithThreads = async (): Promise<string> => {
    const { teacher, stream, card } = archive;
    let segments = 0;
    const reader: CutOptions["reader"] = (state, span, onSegment) =>
      parallelReader(store, folder, 2)(state, span, () => {
        segments++;
        onSegment();
      });
    const frontier = await currentFrontier(store, { teacher, stream });
    const made = await cut({
      store,
      dataset: DATASET,
      card,
      stream,
      frontier,
      trigger: "test",
      checkpoints: false,
      reader,
    });
    assert.equal(segments, 77, "the threads read every segment");
    return versionId(made);
  };
  const before = await allSegments(store, archive.chains);
  const id = await idOf(store, archive);

  const stop = new AbortController();
  const half = await compactAt(store, archive, 0, {
    segmentsPerFile: 10,
    signal: stop.signal,
    onProgress: ({ done }) => {
      if (done === 33) stop.abort();
    },
  });
  assert.deepEqual([half.stopped, half.segments, half.files], [true, 33, 4]);
  assert.equal((await namedFiles(store)).filter((key) => key === null).length, 77 - 33);
  assert.equal(await idOf(store, archive), id);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);

  const rest = await compactAt(store, archive, 1, { segmentsPerFile: 10 });
  assert.deepEqual([rest.stopped, rest.segments, rest.adopted, rest.files], [false, 44, 7, 5]);
  assert.ok(!(await namedFiles(store)).includes(null));
  assert.equal(await idOf(store, archive), id);
  assert.equal(await idWithThreads(), id);
  assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null);
});

test("a stub has its segment's header, and its key stays taken", async () => {
  const archive = await archivedStream();
  const { store, chains } = archive;
  const headersOf = async (): Promise<SegmentHeader[]> => {
    const headers: SegmentHeader[] = [];
    for (const chain of chains) await followToEnd(store, chain, 0, (header) => headers.push(header));
    return headers;
  };
  const before = await headersOf();
  await compactAt(store, archive, 0);
  assert.deepEqual(await headersOf(), before);
  const [chain] = chains;
  const late = testSegment(chain!, 20, [{ image: 1, logits: [1, 2, 3, 4, 5] }], 5);
  const key = keys.segment(chain!, 20);
  const stub = await store.get(key);
  assert.equal(await writeSegment(store, chain!, late), "exists");
  assert.deepEqual(await store.get(key), stub);
});

test("what is compacted is left alone, and a replay's chain is compacted, too", async () => {
  const archive = await archivedStream();
  const { store, chains } = archive;
  const replay = { ...chains[0]!, origin: 30 };
  await writeSegment(store, replay, testSegment(replay, 30, [{ image: 1, logits: [1, 2, 3, 4, 5] }], 5));
  const first = await compactAt(store, archive, 0);
  assert.deepEqual([first.chains, first.segments, first.files], [3, 12, 3 + 3 + 1]);
  const objects = new Map(store.objects);
  const second = await compactAt(store, archive, 5);
  assert.deepEqual([second.segments, second.files, second.swept.files], [0, 0, 0]);
  assert.deepEqual(store.objects, objects);
});

test("only segments that are old enough, in files of the length asked for; a dry run writes nothing", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store } = archive;
  const objects = new Map(store.objects);
  const options = { beforeMs: 1045, segmentsPerFile: 3 };
  const dry = await compactAt(store, archive, 0, { ...options, dryRun: true });
  assert.deepEqual([dry.segments, dry.files, dry.bytesAfter], [4, 2, null]);
  assert.deepEqual(store.objects, objects);
  const done = await compactAt(store, archive, 0, options);
  assert.deepEqual([done.segments, done.files, done.rows], [4, 2, dry.rows]);
  assert.equal(done.bytesBefore, dry.bytesBefore);
  const named = await namedFiles(store);
  assert.deepEqual(
    named.map((key) => key !== null),
    [true, true, true, true, false, false],
  );
  assert.equal(new Set(named.slice(0, 3)).size, 1);
  const sizes = [...store.objects].filter(([key]) => key.startsWith("compacted/") || objects.get(key) === undefined);
  const stubs = [...store.objects].filter(([key, bytes]) => objects.has(key) && objects.get(key) !== bytes);
  assert.equal(
    done.bytesAfter,
    [...sizes, ...stubs].reduce((sum, [, bytes]) => sum + bytes.length, 0),
  );
});

test("segments without rows stay, and a file ends where the archive's columns change", async () => {
  const archive = await archivedStream({ records: [20] });
  const { store, chains } = archive;
  const chain = chains[0]!;
  const logits = [5, 4, 3, 2, 1];
  await writeSegment(store, chain, testSegment(chain, 20, [{ refused: "no image" }], 5));
  await writeSegment(store, chain, testSegment(chain, 21, [{ image: 900, logits }], 3));
  await writeSegment(store, chain, testSegment(chain, 22, [{ image: 901, logits }], 5, { allLogits: 5 }));
  const before = await allSegments(store, chains);
  const done = await compactAt(store, archive, 0, { segmentsPerFile: 9 });
  assert.deepEqual([done.segments, done.files], [4, 3]);
  assert.deepEqual(
    (await namedFiles(store)).map((key) => key === null),
    [false, false, true, false, false],
  );
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
});

test("corrupt and missing segments are refused with their offsets, and the rest is compacted", async () => {
  const archive = await archivedStream({ records: [80] });
  const { store, chains } = archive;
  const chain = chains[0]!;
  const damaged = await store.get(keys.segment(chain, 20));
  // Its footer is whole, its rows are not.
  await store.put(keys.segment(chain, 20), Buffer.concat([damaged.subarray(0, 700), damaged.subarray(-2600)]));
  await store.put(keys.segment(chain, 40), Buffer.from("no segment"));
  await store.delete(keys.segment(chain, 60));
  const done = await compactAt(store, archive, 0, { segmentsPerFile: 9 });
  assert.deepEqual(
    done.refused.map(({ start, end, error }) => [start, end, error.code]),
    [
      [40, 50, "E_SEGMENT_CORRUPT"],
      [20, 30, "E_SEGMENT_CORRUPT"],
    ],
  );
  assert.deepEqual([done.segments, done.files], [5, 1]);
  // Put back, it is compacted by the next run.
  await store.put(keys.segment(chain, 20), damaged);
  assert.equal((await compactAt(store, archive, 1)).segments, 1);
});

for (const damage of ["missing", "cut short", "changed", "named for another segment"] as const) {
  test(`a compacted file that is ${damage} is an error that names both keys, and a gap where gaps are allowed`, async () => {
    const archive = await archivedStream({ records: [60] });
    const { store, chains, teacher, stream, card } = archive;
    await compactAt(store, archive, 0, { segmentsPerFile: 2 });
    const [, second] = await compactedFiles(store);
    const key = keys.segment(chains[0]!, 20);
    const bytes = await store.get(second!);
    let named = second!;
    if (damage === "missing") await store.delete(second!);
    if (damage === "cut short") await store.put(second!, bytes.subarray(0, 500));
    if (damage === "changed") {
      bytes[300]! ^= 1;
      await store.put(second!, bytes);
    }
    if (damage === "named for another segment") {
      const other = decodeArchived(await store.get(keys.segment(chains[0]!, 0)), "0");
      const { header } = decodeArchived(await store.get(key), key);
      assert.ok("stub" in other);
      await store.put(key, encodeStub(header, other.stub));
      named = other.stub.key;
    }
    const whole = await currentFrontier(store, { teacher, stream });
    const options = { store, dataset: DATASET, card, stream, frontier: whole, trigger: "test", checkpoints: false };
    await assert.rejects(cut(options), (error: unknown) => {
      assert.ok(isSluiceError(error, "E_SEGMENT_CORRUPT"));
      assert.ok(error.message.includes(named), error.message);
      assert.ok(error.message.includes(key), error.message);
      assert.match(error.message, /Offsets \[20, 30\) of images\/0/);
      return true;
    });
    const gaps: string[] = [];
    const made = await cut({
      ...options,
      onGap: ({ start, end, error }) => gaps.push(`${start}-${end} ${error.code}`),
    });
    await versionId(made);
    const both = damage === "missing" || damage === "cut short";
    const expected = both ? ["20-30", "30-40"] : ["20-30"];
    assert.deepEqual(
      gaps,
      expected.map((range) => `${range} E_SEGMENT_CORRUPT`),
    );
    const warnings: string[] = [];
    await compactAt(store, archive, 9, { onWarning: (line) => warnings.push(line) });
    if (damage === "missing") assert.ok(warnings[0]?.includes(second!), "compaction says so, too");
  });
}
