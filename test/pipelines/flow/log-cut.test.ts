import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { openStore, openWorkspace } from "../../../pipelines/open/workspace.js";
import { listQuarantine } from "../../../pipelines/quarantine/quarantine.js";
import { retryQuarantined } from "../../../pipelines/quarantine/retry-quarantined.js";
import { planReplay } from "../../../pipelines/replay-plan.js";
import { LogCut } from "../../../pipelines/flow/log-cut.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { readSegment, writeSegment } from "../../../operators/archive/segment-objects.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { SluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { testCard } from "../../fixtures/archive.js";
import { archivedStream } from "../../fixtures/archived-stream.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { runIngest, testConfig, type RunIngest } from "../../fixtures/run-ingest.js";
import { collect } from "../../fixtures/publishing.js";
import { runReplay } from "../../fixtures/run-replay.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";
import { text } from "../../conformance/log.js";

const EVERYTHING = { retentionMs: 0 } as const;

async function prepared(t: Parameters<typeof temporaryFolder>[0]): Promise<RunIngest & { digest: string; b: string }> {
  const root = await temporaryFolder(t);
  const [teacher, b, pictures] = [join(root, "a"), join(root, "b"), join(root, "pictures")];
  await writeSmallTeacher(teacher, "onnx", { classes: 10, output: "logits" });
  await writeSmallTeacher(b, "onnx", { classes: 10, output: "logits", seed: 2 });
  await writePictures(pictures, { images: 40, duplicates: 2, broken: 3 });
  const digest = teacherDigest((await loadTeacher(teacher)).card);
  return { data: join(root, "data"), pictures, teacher, digest, b };
}

test("by default the log keeps all that another teacher's replay needs", async (t) => {
  const run = await prepared(t);
  await runIngest(run);
  const { plan, counts } = await runReplay({ ...run, teacher: run.b });
  assert.deepEqual(plan.gone, []);
  assert.deepEqual({ ...counts }, { scored: 40, copied: 2, quarantined: 3, lost: 0 });
});

test("an ingest cuts what is archived; a later teacher's replay is told what it has lost", async (t) => {
  const run = await prepared(t);
  await runIngest({ ...run, config: { log: EVERYTHING, partitions: 2 } });
  const workspace = await openWorkspace(testConfig({ ...run, config: { partitions: 2 } }), "test");
  const ends = await workspace.log.ends("images");
  await workspace.close();
  assert.ok(ends.every(({ start, end }) => start === end));
  assert.equal(ends[0]!.end + ends[1]!.end, 45);
  const { plan } = await runReplay({ ...run, teacher: run.b, config: { partitions: 2 } });
  assert.deepEqual(
    plan.gone,
    ends.flatMap(({ end }, partition) => (end === 0 ? [] : [{ partition, start: 0, end }])),
  );
});

test("nothing is cut that an open replay, a declared teacher or a damaged part of the archive needs", async (t) => {
  const run = await prepared(t);
  await runIngest({ ...run, config: { log: {} } });
  const workspace = await openWorkspace(testConfig(run), "test");
  t.after(() => workspace.close());
  const { embedded: log, store } = workspace;
  const place = { stream: "images", teacher: run.digest };
  const cut = (): Promise<number> =>
    new LogCut({ ...place, log: log!, store, retention: EVERYTHING, nowMs: () => Date.now() + 1 }).cut();
  const starts = async (): Promise<number> => (await log!.ends("images"))[0]!.start;

  const chain = { ...place, partition: 0, origin: 0 };
  const segment = await store.get(keys.segment(chain, 0));
  const put = async (bytes: Uint8Array): Promise<void> => {
    await store.delete(keys.segment(chain, 0));
    await store.putIfAbsent(keys.segment(chain, 0), bytes);
  };
  await put(segment.subarray(0, segment.length / 2));
  await cut();
  assert.equal(await starts(), 0, "a damaged segment is mended from the log");
  await put(segment);

  // A replay that has claimed and not begun.
  const other = teacherDigest((await loadTeacher(run.b)).card);
  await store.putIfAbsent(
    `teachers/${other}/model-card.json`,
    await store.get(`teachers/${run.digest}/model-card.json`),
  );
  const ask = { from: { at: "offset", offset: 7 }, until: { at: "now" } } as const;
  const archivedTo = ({ origin }: { origin: number }): Promise<number> => Promise.resolve(origin);
  const plan = { log: log!, store, stream: "images", teacher: other, ask, archivedTo, dryRun: false };
  assert.equal((await planReplay(plan)).chains.length, 1);
  await cut();
  assert.equal(await starts(), 7);
});

test("quarantined records outlive a cut for their retry, and go once they were taken up again", async (t) => {
  const run = { ...(await prepared(t)), config: { log: EVERYTHING } };
  await runIngest(run);
  const place = { stream: "images", teacher: run.digest };
  const retry = async (): Promise<void> => {
    const workspace = await openWorkspace(testConfig(run), "test");
    const { embedded: log, store } = workspace;
    const [held] = await log!.held("images");
    assert.equal(held!.spared, 3);
    const waiting = await collect(listQuarantine(store, place));
    const records = await log!.fetch(
      "images",
      0,
      waiting.map(({ offset }) => offset),
    );
    assert.deepEqual(
      records.map(({ offset }) => offset),
      waiting.map(({ offset }) => offset),
    );
    const { appended, unavailable } = await retryQuarantined(log!, listQuarantine(store, place));
    assert.deepEqual([appended, unavailable], [3, []]);
    await workspace.close();
  };
  await retry();
  await runIngest({ ...run, withoutSource: true, options: { publish: false } });
  // Refused again, at new offsets: those are spared now, in the place of the old ones.
  await retry();
  const store = await openStore(testConfig(run));
  t.after(() => store.close());
  const offsets = (await collect(listQuarantine(store, place))).map(({ offset }) => offset);
  assert.deepEqual(offsets, [45, 46, 47]);
});

/** Sixty records in a log, of which one of two teachers refused one in eleven, in segments of ten; nobody has cut it. */
async function refusing(t: Parameters<typeof temporaryFolder>[0]) {
  const log = await openEmbeddedLog(await temporaryFolder(t), { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("images", 1);
  await log.append(
    "images",
    0,
    Array.from({ length: 60 }, (_, at) => text(`${at}`)),
  );
  const { store, teacher, chains } = await archivedStream({ records: [60] });
  // Looked at behind the first
  let other = testCard(5, "another teacher");
  for (let number = 0; teacherDigest(other) < teacher; number++) other = testCard(5, `another teacher ${number}`);
  await saveCard(store, other);
  const chain = await liveChain(store, { teacher: teacherDigest(other), stream: "images", partition: 0 }, 0);
  for (let start = 0; start < 60; start += 10) {
    const { header, batch } = await readSegment(store, chains[0]!, start);
    await writeSegment(store, chain, { header: { ...header, teacher: chain.teacher, rejected: [] }, batch });
  }
  const options = { store, stream: "images", teacher, retention: EVERYTHING, nowMs: () => Date.now() + 1 };
  const spared = async (): Promise<number[]> => {
    const kept = await log.fetch("images", 0, [7, 18, 29, 40, 51]);
    return kept.map(({ offset }) => offset);
  };
  return { log, store, other: chain, options, spared };
}

test("a cut that fails spares what was refused when it is tried again", async (t) => {
  const { log, options, spared } = await refusing(t);
  let fails = true;
  const truncate: typeof log.truncate = async (...asked) => {
    if (fails) throw new SluiceError("E_LOG_IO", "The disk is full.", { retryable: true });
    await log.truncate(...asked);
  };
  const pick = {
    ends: log.ends.bind(log),
    offsetsAt: log.offsetsAt.bind(log),
    offsetsWithin: log.offsetsWithin.bind(log),
    forgetSpared: log.forgetSpared.bind(log),
  };
  const cut = new LogCut({ ...options, log: { ...pick, truncate } });
  await assert.rejects(cut.cut(), { code: "E_LOG_IO" });
  fails = false;
  assert.equal(await cut.cut(), 60);
  assert.deepEqual(await spared(), [7, 18, 29, 40, 51]);
});

test("what one teacher refused behind another's damage is spared once that is mended", async (t) => {
  const { log, store, other, options, spared } = await refusing(t);
  const key = keys.segment(other, 20);
  const whole = await store.get(key);
  await store.put(key, whole.subarray(0, whole.length / 2));
  const cut = new LogCut({ ...options, log });
  assert.equal(await cut.cut(), 20, "up to the damage");
  await store.put(key, whole);
  assert.equal(await cut.cut(), 40);
  assert.deepEqual(await spared(), [7, 18, 29, 40, 51]);
});

test("a log that is cut as it grows stays within bounds on the disk", async (t) => {
  const folder = await temporaryFolder(t);
  const log = await openEmbeddedLog(folder, { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("images", 1);
  const sizes: number[] = [];
  for (let round = 0; round < 60; round++) {
    await log.append(
      "images",
      0,
      Array.from({ length: 200 }, (_, at) => text(`${at} ${"x".repeat(2_000)}`)),
    );
    const [before] = await log.offsetsWithin("images", 1_000_000);
    await log.truncate("images", 0, { before: before! });
    sizes.push((await stat(join(folder, "data.mdb"))).size);
  }
  const [held] = await log.held("images");
  assert.ok(held!.sizeBytes <= 1_000_000 && held!.sizeBytes > 400_000, `${held!.sizeBytes} bytes held`);
  assert.equal(held!.end, 12_000);
  const appended = 12_000 * 2_000;
  assert.ok(sizes.at(-1)! < appended / 5, `${sizes.at(-1)} bytes on the disk of ${appended} appended`);
  assert.equal(sizes.at(-1), sizes[30], "the room that records took is used again");
});
