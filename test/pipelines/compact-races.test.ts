import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem.js";
import { isSluiceError } from "../../schemas/errors.js";
import { archivedStream, type ArchivedStream } from "../fixtures/archived-stream.js";
import { allSegments, compactAt, compactedFiles, idOf, namedFiles, segmentsDiffer } from "../fixtures/compacting.js";
import { FAILURES, failingStore } from "../fixtures/failing-store.js";
import { openMemoryStore, type MemoryStore } from "../fixtures/memory-store.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const small = (): Promise<ArchivedStream> => archivedStream({ records: [50], length: 10 });

function copied(store: MemoryStore): MemoryStore {
  const copy = openMemoryStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  return copy;
}

test("wherever a call fails or the process dies, every segment is whole, and the next run finishes", async () => {
  const archive = await small();
  const before = await allSegments(archive.store, archive.chains);
  const counting = failingStore(copied(archive.store), Infinity, "before");
  await compactAt(counting, archive, 0);
  assert.ok(counting.calls() > 40);
  for (const failure of FAILURES) {
    for (let at = 0; at < counting.calls(); at++) {
      const store = copied(archive.store);
      await assert.rejects(compactAt(failingStore(store, at, failure), archive, 0), (error: unknown) =>
        isSluiceError(error, "E_STORE_IO"),
      );
      assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `${failure} at ${at}`);
      await compactAt(store, archive, 1);
      await compactAt(store, archive, 9);
      const named = await namedFiles(store);
      assert.ok(!named.includes(null), `${failure} at ${at}: all are compacted`);
      assert.deepEqual(await compactedFiles(store), [...new Set(named)], `${failure} at ${at}: nothing is left over`);
      assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `${failure} at ${at}`);
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
    delete: async (key) => (await wait(), store.delete(key)),
  };
}

test("two compactors at once do no harm, and what they wrote twice is swept when it is old", async () => {
  let swept = 0;
  for (let seed = 1; seed <= 30; seed++) {
    let state = seed;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const archive = await small();
    const { store, chains } = archive;
    const before = await allSegments(store, chains);
    const both = [2, 3].map((segmentsPerFile, index) =>
      compactAt(takingTurns(store, random), archive, 0, {
        segmentsPerFile,
        attempt: () => `c${index}x${Math.floor(random() * 1e9)}`,
      }),
    );
    await Promise.all(both);
    assert.equal(segmentsDiffer(await allSegments(store, chains), before), null, `seed ${seed}`);
    assert.ok(!(await namedFiles(store)).includes(null));
    const young = (await compactedFiles(store)).length;
    assert.equal((await compactAt(store, archive, 0)).swept.files, 0, "nothing that is young is swept");
    assert.equal((await compactedFiles(store)).length, young);
    swept += (await compactAt(store, archive, 2)).swept.files;
    assert.equal(segmentsDiffer(await allSegments(store, chains), before), null, `seed ${seed}, swept`);
  }
  assert.ok(swept > 0, "some seeds write files twice");
});

/** An archive that two compactors have written whole, one after the other; the second one's stubs never came. */
async function writtenTwice() {
  const archive = await small();
  const { store, chains } = archive;
  const hot = copied(store);
  const before = await allSegments(store, chains);
  await compactAt(store, archive, 0);
  const late = copied(hot);
  await compactAt(late, archive, 1);
  // The sleeper's files are there, its stubs are not.
  for (const key of await compactedFiles(late)) await store.put(key, await late.get(key));
  const lateStubs = [...late.objects].filter(([key]) => key.endsWith(".arrow"));
  return { archive, store, chains, before, lateStubs };
}

test("a compactor that wakes up after its files were swept leaves stubs whose rows are found all the same", async () => {
  const { archive, store, chains, before, lateStubs } = await writtenTwice();
  const { swept } = await compactAt(store, archive, 3);
  assert.equal(swept.files, 3);
  for (const [key, bytes] of lateStubs) await store.put(key, bytes);
  const left = await compactedFiles(store);
  assert.ok((await namedFiles(store)).every((key) => key !== null && !left.includes(key)));
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
  const id = await idOf(store, archive);
  const warnings: string[] = [];
  await compactAt(store, archive, 9, { onWarning: (line) => warnings.push(line) });
  assert.deepEqual(warnings, []);
  assert.ok((await namedFiles(store)).every((key) => key !== null && left.includes(key)));
  assert.equal(await idOf(store, archive), id);
});

test("stubs that name the newer of two copies are turned to the older one, and the newer one goes", async () => {
  const { archive, store, chains, before, lateStubs } = await writtenTwice();
  for (const [key, bytes] of lateStubs) await store.put(key, bytes);
  const files = await compactedFiles(store);
  assert.equal(files.length, 6);
  assert.equal((await compactAt(store, archive, 3)).swept.files, 3);
  assert.deepEqual(await compactedFiles(store), [...new Set(await namedFiles(store))]);
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
});

test("no copy is swept for one that is damaged", async () => {
  const { archive, store, chains, before, lateStubs } = await writtenTwice();
  for (const [key, bytes] of lateStubs) await store.put(key, bytes);
  const [oldest] = await compactedFiles(store);
  const bytes = await store.get(oldest!);
  bytes[100]! ^= 1;
  await store.put(oldest!, bytes);
  assert.equal((await compactAt(store, archive, 3)).swept.files, 2);
  assert.equal(segmentsDiffer(await allSegments(store, chains), before), null);
});

test("a store that gives back other bytes than were written is found out before any segment is replaced", async () => {
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
  await assert.rejects(compactAt(lying, archive, 0), (error: unknown) => isSluiceError(error, "E_SEGMENT_CORRUPT"));
  assert.ok((await namedFiles(store)).every((key) => key === null));
  const warnings: string[] = [];
  const done = await compactAt(store, archive, 1, { onWarning: (line) => warnings.push(line) });
  assert.equal(done.segments, 5);
  assert.match(warnings[0]!, /does not have the rows of \[0, 10\)/);
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
  for (let at = 18; at < calls; at += 9) {
    const { folder, signal } = await run(at);
    assert.equal(signal, "SIGKILL");
    const store = await openFilesystemStore(folder);
    assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `killed at ${at}`);
    await compactAt(store, archive, 1);
    const named = await namedFiles(store);
    assert.ok(!named.includes(null));
    assert.deepEqual(await compactedFiles(store), [...new Set(named)]);
    assert.equal(segmentsDiffer(await allSegments(store, archive.chains), before), null, `killed at ${at}, finished`);
    await store.close();
  }
});
