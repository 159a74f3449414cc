import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { isSluiceError } from "../../schemas/errors.js";
import { archivedStream, type ArchivedStream } from "../fixtures/archived-stream.js";
import { allSegments, compactAt, runFiles, segmentObjects, segmentsDiffer } from "../fixtures/compacting.js";
import { FAILURES, failingStore } from "../fixtures/failing-store.js";
import { openMemoryStore, type MemoryStore } from "../fixtures/memory-store.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const small = (): Promise<ArchivedStream> => archivedStream({ records: [50], length: 10 });

function copied(store: MemoryStore): MemoryStore {
  const copy = openMemoryStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  return copy;
}

/** Two runs, merged; the segments and the runs under it swept in the same turn. */
const AT_ONCE = { segmentsPerRun: 3, sweepAfterMs: -1 };

test("wherever a call fails or the process dies, every segment reads as before, and the next run finishes", async () => {
  const archive = await small();
  const before = await allSegments(archive.store, archive.chains);
  const counting = failingStore(copied(archive.store), Infinity, "before");
  const done = await compactAt(counting, archive, 0, AT_ONCE);
  assert.deepEqual([done.runs, done.merged, done.swept.segments, done.swept.files], [2, 1, 5, 2]);
  assert.ok(counting.calls() > 40);
  for (const failure of FAILURES) {
    for (let at = 0; at < counting.calls(); at++) {
      const store = copied(archive.store);
      const name = `${failure} at ${at}`;
      await assert.rejects(
        compactAt(failingStore(store, at, failure), archive, 0, AT_ONCE),
        (error: unknown) => isSluiceError(error, "E_STORE_IO"),
        name,
      );
      assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, name);
      await compactAt(store, archive, 1, AT_ONCE);
      await compactAt(store, archive, 9, AT_ONCE);
      assert.deepEqual(await segmentObjects(store), [], `${name}: all are compacted`);
      assert.equal((await runFiles(store)).length, 1, `${name}: nothing is left over`);
      assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, name);
    }
  }
});

/** Lets two stores' calls take turns as `turns` says; the other one goes on where one has ended. */
function takingTurns(store: MemoryStore, random: () => number): MemoryStore {
  const wait = async (): Promise<void> => {
    for (let turns = Math.floor(random() * 12); turns > 0; turns--) await new Promise(setImmediate);
  };
  return {
    ...store,
    get: async (key) => (await wait(), store.get(key)),
    getRange: async (key, start, end) => (await wait(), store.getRange(key, start, end)),
    head: async (key) => (await wait(), store.head(key)),
    put: async (key, bytes) => (await wait(), store.put(key, bytes)),
    putIfAbsent: async (key, bytes) => (await wait(), store.putIfAbsent(key, bytes)),
    delete: async (key) => (await wait(), store.delete(key)),
  };
}

test("two compactors at once, and one that reads, do no harm: one of them makes each run, and nothing is left over", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    let state = seed;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const archive = await small();
    const { store, chains } = archive;
    const before = await allSegments(store, chains);
    const reading = allSegments(takingTurns(store, random), chains);
    const both = [2, 3].map((segmentsPerRun, index) =>
      compactAt(takingTurns(store, random), archive, 0, {
        segmentsPerRun,
        sweepAfterMs: seed % 2 === 0 ? -1 : 0,
        attempt: () => `c${index}x${Math.floor(random() * 1e9)}`,
      }),
    );
    await Promise.all(both);
    assert.equal(segmentsDiffer(await reading, before), null, `seed ${seed}, read meanwhile`);
    assert.equal(segmentsDiffer(await allSegments(store, chains), before), null, `seed ${seed}`);
    await compactAt(store, archive, 1);
    await compactAt(store, archive, 2);
    assert.deepEqual(await segmentObjects(store), []);
    // One that was quick may have merged runs before the last of them was there.
    assert.ok((await runFiles(store)).length <= 2, `seed ${seed}`);
    assert.equal(segmentsDiffer(await allSegments(store, chains), before), null, `seed ${seed}, swept`);
  }
});

test("a store that gives back other bytes than were written is found out before anything is a run", async () => {
  const archive = await small();
  const { store, chains } = archive;
  const before = await allSegments(store, chains);
  const lying = {
    ...store,
    putStream: async (key: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) => {
      const written = await store.putStream(key, chunks);
      const bytes = await store.get(key);
      bytes[200]! ^= 4;
      await store.put(key, bytes);
      return written;
    },
  };
  await assert.rejects(compactAt(lying, archive, 0), (error: unknown) => isSluiceError(error, "E_STORE_CORRUPT"));
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
  assert.equal((await compactAt(store, archive, 1)).segments, 5);
  assert.equal((await compactAt(store, archive, 2)).swept.segments, 5);
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
});

test("killed outright at any of its calls, on a filesystem, it leaves an archive that the next run finishes", async (t) => {
  const archive = await small();
  const before = await allSegments(archive.store, archive.chains);
  const program = join(import.meta.dirname, "..", "fixtures", "compact-and-die.js");
  const run = async (dieAt: number): Promise<{ folder: string; out: string; signal: string | null }> => {
    const folder = await temporaryFolder(t);
    const store = await openFilesystemStore(folder);
    for (const [key, bytes] of archive.store.objects) await store.put(key, bytes);
    await store.close();
    const args = [program, folder, String(dieAt), archive.teacher, archive.stream];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    const [, signal] = (await once(child, "close")) as [number | null, string | null];
    return { folder, out, signal };
  };
  const calls = Number((await run(1e9)).out);
  assert.ok(calls > 40);
  for (let at = 18; at < calls; at += 12) {
    const { folder, signal } = await run(at);
    assert.equal(signal, "SIGKILL");
    const store = await openFilesystemStore(folder);
    assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `killed at ${at}`);
    await compactAt(store, archive, 1);
    await compactAt(store, archive, 2);
    assert.deepEqual(await segmentObjects(store), []);
    assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `killed at ${at}, finished`);
    await store.close();
  }
});
