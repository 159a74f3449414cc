import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { PartitionEnds } from "../../connectors/log/log.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { FOLDERS, openStore, openWorkspace } from "../../pipelines/open/workspace.js";
import { produce } from "../../pipelines/produce.js";
import { rebuildLog, type RebuiltLog } from "../../pipelines/rebuild-log.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { isSluiceError } from "../../schemas/errors.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";

const CONFIG = { partitions: 2 } as const;
const PAGE_BYTES = 4096;
let root: string;
let run: RunIngest;
let digest: string;
let id: string;
let count = 0;

/** A data folder that has scored 28 pictures, with 16 more in its log that nobody has scored. */
before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-rebuild-log-"));
  const [teacher, pictures] = [join(root, "teacher"), join(root, "pictures")];
  await writeSmallTeacher(teacher, "onnx", { classes: 10, output: "logits" });
  await writePictures(pictures, { images: 24, duplicates: 2, broken: 2 });
  digest = teacherDigest((await loadTeacher(teacher)).card);
  run = { data: join(root, "data"), pictures, teacher, config: CONFIG };
  await runIngest({ ...run, options: { publish: false } });
  await writePictures(pictures, { images: 16, duplicates: 0, broken: 0 }, 2, (at) => `later-${at}.png`);
  assert.equal(await appendAll(run, pictures), 16);
  id = (await runIngest({ ...run, data: join(root, "undamaged") })).published[0]!.manifest.id;
});

after(async () => {
  await rm(root, { recursive: true, force: true });
});

async function copied(): Promise<RunIngest> {
  const data = join(root, `data-${count++}`);
  await cp(run.data, data, { recursive: true });
  return { ...run, data };
}

/** Appends pictures to the log, and scores nothing. Returns how many. */
async function appendAll(one: RunIngest, pictures: string): Promise<number> {
  const workspace = await openWorkspace(testConfig(one), "test");
  try {
    await workspace.log.ensureTopic("images", 2);
    const source = await openFolderSource(pictures, { listings: join(workspace.folder, FOLDERS.listings) });
    const stop = new AbortController().signal;
    return await produce({ log: workspace.log, source, topic: "images", partitions: 2, stop });
  } finally {
    await workspace.close();
  }
}

async function endsOf(one: RunIngest): Promise<readonly PartitionEnds[]> {
  const workspace = await openWorkspace(testConfig(one), "test");
  try {
    return await workspace.log.ends("images");
  } finally {
    await workspace.close();
  }
}

async function rebuilt(one: RunIngest, dryRun = false): Promise<RebuiltLog> {
  const config = testConfig(one);
  const store = await openStore(config);
  try {
    return await rebuildLog({ config, store, dryRun, nowMs: Date.UTC(2026, 10, 29) });
  } finally {
    await store.close();
  }
}

/** Every picture is scored in the end, and the version is the one of an undamaged run. */
async function assertWhole(one: RunIngest): Promise<void> {
  const result = await runIngest(one);
  assert.equal(result.published[0]!.manifest.id, id);
  const store = await openStore(testConfig(one));
  try {
    const { counts } = await new ArchiveReader(store, { teacher: digest, stream: "images" }).totalsAt(result.frontier);
    assert.deepEqual([counts.scored, counts.lost], [40, 0]);
  } finally {
    await store.close();
  }
}

test("a sound log is left alone, and a rebuild that is not asked to change anything changes nothing", async () => {
  const one = await copied();
  assert.equal((await rebuilt(one)).fault, null);
  await truncate(join(one.data, "log", "data.mdb"), 3 * PAGE_BYTES);
  const before = await readdir(one.data);
  const { fault, partitions } = await rebuilt(one, true);
  assert.match(fault!, /ends at|ends long before/);
  assert.equal(partitions.length, 2);
  assert.deepEqual(await readdir(one.data), before);
});

test("records that can be read are in the new log, and sources go on where they were", async () => {
  const one = await copied();
  const file = join(one.data, "log", "data.mdb");
  await writeFile(file, (await readFile(file)).fill(0, 0, PAGE_BYTES));
  const done = await rebuilt(one);
  assert.equal(done.sourcesGoOn, true);
  assert.ok(done.partitions.every(({ lost }) => lost !== null && lost.start === lost.end));
  assert.ok(
    done.partitions.some(({ archivedTo, end }) => end > archivedTo),
    "some were waiting to be scored",
  );
  assert.deepEqual((await readdir(one.data)).filter((name) => name.startsWith("log")).sort(), [
    "log",
    "log.damaged-20261129T000000Z",
  ]);
  assert.equal((await rebuilt(one)).fault, null);
  const result = await runIngest(one);
  assert.equal(result.published[0]!.manifest.id, id);
  assert.equal(result.counts.appended + done.partitions.reduce((sum, { end }) => sum + end, 0), 44);
});

test("a rebuild that was killed before the new log took its place is gone on with, and nothing salvaged goes", async () => {
  const one = await copied();
  const log = join(one.data, "log");
  await cp(log, join(root, "short"), { recursive: true });
  const pictures = join(root, "more");
  await writePictures(pictures, { images: 3, duplicates: 0, broken: 0 }, 3, (at) => `more-${at}.png`);
  await runIngest({ ...one, pictures, options: { publish: false } });
  await rm(log, { recursive: true });
  await rename(join(root, "short"), log);
  const done = await rebuilt(one);
  assert.match(done.fault!, /ends/);
  const ends = await endsOf(one);
  const [aside] = (await readdir(one.data)).filter((name) => name.startsWith("log.damaged"));
  await rename(log, `${log}.rebuilding`);
  await rename(join(one.data, aside!), log);
  assert.equal((await rebuilt(one)).fault, "a rebuild had not ended");
  assert.deepEqual(await endsOf(one), ends);
  assert.equal((await rebuilt(one)).fault, null);
});

test("flips and cuts anywhere: ingest says so or goes on, and after a rebuild every picture is scored", async () => {
  const next = uniform(5);
  for (let trial = 0; trial < 6; trial++) {
    const one = await copied();
    const file = join(one.data, "log", "data.mdb");
    const bytes = await readFile(file);
    if (trial < 4)
      bytes[Math.floor(next() * (trial < 2 ? 2 * PAGE_BYTES : bytes.length))]! ^= 1 << Math.floor(next() * 8);
    await writeFile(file, trial < 4 ? bytes : bytes.subarray(0, Math.floor(next() * bytes.length)));
    try {
      await (await openWorkspace(testConfig(one), "test")).close();
    } catch (error) {
      if (!isSluiceError(error, "E_LOG_CORRUPT")) throw error;
    }
    await rebuilt(one);
    await assertWhole(one);
  }
});

test("a log that is gone begins where the archive ends, and sources give everything again", async () => {
  const one = await copied();
  await rm(join(one.data, "log"), { recursive: true });
  // An `ingest` that starts without a rebuild says so.
  await assert.rejects(
    runIngest(one),
    (error) => isSluiceError(error, "E_LOG_RECREATED") && /log rebuild/.test(error.message),
  );
  const done = await rebuilt(one);
  assert.match(done.fault!, /was archived from another log/);
  assert.equal(done.sourcesGoOn, false);
  await assertWhole(one);
});

test("another log that goes beyond the archive's end is refused before anything is taken, and a rebuild has every picture scored", async () => {
  const one = await copied();
  // As with a bucket that another data folder has archived to: 60 records of its own, the archive's end below them.
  const others = join(root, "others");
  await writePictures(others, { images: 60, duplicates: 0, broken: 0 }, 9);
  await rm(join(one.data, "log"), { recursive: true });
  await rm(join(one.data, "listings"), { recursive: true });
  await appendAll(one, others);
  const refused = (error: unknown): boolean => {
    assert.ok(isSluiceError(error, "E_LOG_RECREATED"));
    assert.match(error.message, /another one \(embedded log [0-9a-f]{8}\).*--set stream=NAME.*sluice log rebuild/);
    return true;
  };
  await assert.rejects(runIngest({ ...one, pictures: others }), refused);
  await assert.rejects(runIngest({ ...one, withoutSource: true }), refused);
  assert.equal(
    (await endsOf(one)).reduce((sum, { end }) => sum + end, 0),
    60,
    "nothing was appended",
  );

  assert.equal((await rebuilt(one)).sourcesGoOn, false);
  assert.equal((await rebuilt(one)).fault, null);
  const { counts } = await runIngest({ ...one, pictures: others });
  assert.deepEqual([counts.appended, counts.scored], [60, 60]);
  await assert.doesNotReject(runIngest(one));
});

test("a data folder of its own beside a bucket that knows nothing of its log is another stream's", async () => {
  const one = await copied();
  const moved = join(root, `data-${count++}`);
  await cp(join(one.data, "store"), join(moved, "store"), { recursive: true });
  await assert.rejects(runIngest({ ...run, data: moved }), (error) => isSluiceError(error, "E_LOG_RECREATED"));
  const other = { ...CONFIG, stream: "others" };
  assert.equal((await runIngest({ ...run, data: moved, config: other })).counts.appended, 44);
});

test("a rebuild that was killed between its two renames is ended by the next one, and nobody writes meanwhile", async () => {
  const one = await copied();
  const log = join(one.data, "log");
  await truncate(join(log, "data.mdb"), 3 * PAGE_BYTES);
  await rebuilt(one);
  await rename(log, `${log}.rebuilding`);
  await assert.rejects(openWorkspace(testConfig(one), "test"), (error) => isSluiceError(error, "E_LOG_CORRUPT"));
  assert.equal((await rebuilt(one)).fault, "a rebuild had not ended");
  await assertWhole(one);
});

test("a log that a living process writes to is not rebuilt", async () => {
  const one = await copied();
  const workspace = await openWorkspace(testConfig(one), "test");
  try {
    await assert.rejects(rebuilt(one), (error) => isSluiceError(error, "E_LOCKED"));
  } finally {
    await workspace.close();
  }
});
