import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { openStore, openWorkspace } from "../../pipelines/open/workspace.js";
import { chainTotals } from "../../pipelines/versions/chain-totals.js";
import { rebuild } from "../../pipelines/rebuild.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { verifyVersion } from "../../pipelines/versions/verify-version.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { readPackIndex } from "../../operators/pack/pack-objects.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures, type Pictures } from "../fixtures/pictures.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";
import { collect } from "../fixtures/publishing.js";

let root: string;
let teacher: string;
let pictures: string;
let made: Pictures;
let reference: Manifest;
let count = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-ingest-"));
  teacher = join(root, "teacher");
  pictures = join(root, "pictures");
  await writeSmallTeacher(teacher, "onnx", { classes: 10, output: "logits" });
  made = await writePictures(pictures, { images: 90, duplicates: 7, broken: 4 });
  reference = (await runIngest(run())).published[0]!.manifest;
});

after(async () => {
  await rm(root, { recursive: true, force: true });
});

function run(change: Partial<RunIngest> = {}): RunIngest {
  return { data: join(root, `data-${count++}`), pictures, teacher, ...change };
}

async function idOf(change: Partial<RunIngest> = {}): Promise<string> {
  return (await runIngest(run(change))).published[0]!.manifest.id;
}

async function findings(data: string, manifest: Manifest): Promise<readonly unknown[]> {
  const store = await openStore(testConfig(run({ data })));
  try {
    const { dataset, number } = manifest;
    return (await verifyVersion(store, dataset, number, { chainTotals: (of) => chainTotals(store, of) })).findings;
  } finally {
    await store.close();
  }
}

test("a folder of pictures becomes a version whose totals add up and which verifies", async () => {
  const one = run();
  const result = await runIngest(one);
  const { records, rows, bytesAbsent } = result.published[0]!.manifest.totals;
  assert.equal(records.in, made.images.length + made.duplicates.length + made.broken.length);
  assert.deepEqual(records, { in: 101, scored: 90, copied: 7, quarantined: 4, lost: 0 });
  assert.ok(rows > 0);
  assert.equal(bytesAbsent, 0);
  assert.deepEqual(await findings(one.data, result.published[0]!.manifest), []);

  const again = await runIngest(one);
  assert.equal(again.counts.appended, 0, "files taken in once are not taken in again");
  assert.equal(again.published[0]!.outcome, "unchanged");
});

test("the index notes what was done to a picture, and nothing of the others", async (t) => {
  const folder = await temporaryFolder(t);
  await writePictures(folder, { images: 6 });
  // Those beyond the six are others than the folder has.
  const [plain, odd] = [made.images[6]!, made.images[7]!];
  await copyFile(join(pictures, plain), join(folder, "odd.jpg"));
  await writeFile(
    join(folder, "turned.jpg"),
    await sharp(join(pictures, odd)).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  );
  const one = run({ pictures: folder, config: { datasets: [{ name: "d", select: { k: 20, p: 1 } }] } });
  const { manifest } = (await runIngest(one)).published[0]!;
  const store = await openStore(testConfig(one));
  const rows = await collect(readIndex(store, manifest));
  await store.close();
  const noted = new Map(rows.map(({ uri, notes }) => [basename(uri), notes]));
  assert.deepEqual([noted.get("odd.jpg"), noted.get("turned.jpg")], ["wrong-extension", "turned"]);
  assert.deepEqual(
    new Set([...noted].filter(([name]) => name.endsWith(".png")).map(([, notes]) => notes)),
    new Set([null]),
  );
});

test("batch size, workers, segments, partitions and bytes are not visible in the id", async () => {
  assert.equal(await idOf({ config: { engine: { workers: 2, batch: 3, maxDelayMs: 1 } } }), reference.id);
  assert.equal(await idOf({ config: { archive: { topM: 10, segmentRecords: 7 }, partitions: 3 } }), reference.id);
  assert.equal(await idOf({ config: { archive: { topM: 5, logits: "all" } } }), reference.id);
  assert.equal(await idOf({ config: { bytes: "keep", retainBytes: "all", maxInFlightBytes: 2000 } }), reference.id);
});

test("other file names and another order give the same id and rows", async () => {
  const other = join(root, "renamed");
  const next = uniform(7);
  await writePictures(other, { images: 90, duplicates: 7, broken: 4 }, 1, () => `${Math.floor(next() * 1e9)}.png`);
  assert.equal(await idOf({ pictures: other }), reference.id);
});

test("what the thresholds prune is never missing from a version", async () => {
  const many = join(root, "many");
  await writePictures(many, { images: 300 }, 5);
  const select = { k: 3, p: 2 };
  const base = { pictures: many };
  const datasets = [{ name: "d", select, reserve: 1 }];
  const all = run({ ...base, config: { datasets, bytes: "keep", retainBytes: "all" } });
  const winners = run({ ...base, config: { datasets, bytes: "keep", checkpoint: { everySegments: 1 } } });
  const unpruned = (await runIngest(all)).published[0]!.manifest;
  const pruned = (await runIngest(winners)).published[0]!.manifest;
  assert.equal(pruned.id, unpruned.id);
  assert.equal(pruned.totals.bytesAbsent, 0);
  const keptIn = async (data: string): Promise<number> => {
    const store = await openFilesystemStore(join(data, "store"));
    let kept = 0;
    for await (const { key } of store.list("packs/"))
      if (key.endsWith(".pack")) kept += (await readPackIndex(store, key)).count;
    await store.close();
    return kept;
  };
  assert.equal(await keptIn(all.data), 300);
  assert.ok((await keptIn(winners.data)) < 200, "thresholds keep most images out of the store");
});

test("kept bytes are in the version although the pictures are gone; referred ones are counted absent", async () => {
  for (const [bytes, absent] of [
    ["keep", false],
    ["refer", true],
  ] as const) {
    const gone = join(root, `gone-${bytes}`);
    await writePictures(gone, { images: 20 }, 9);
    const one = run({ pictures: gone, config: { bytes } });
    await runIngest({ ...one, options: { publish: false } });
    await rm(gone, { recursive: true });
    const store = await openStore(testConfig(one));
    const { manifest, absences } = await rebuild({
      store,
      dataset: testConfig(one).datasets[0]!,
      stream: "images",
      opener: openUri(),
      sheets: null,
      allow: ALL_ALLOWED,
    });
    const rows = await collect(readIndex(store, manifest));
    assert.equal(manifest.totals.bytesAbsent > 0, absent);
    assert.ok(rows.every((row) => row.bytes === (absent ? "absent" : "shard")));
    assert.equal(absences.length > 0, absent);
    await store.close();
  }
});

test("rebuild from the archive alone gives the version that ingest gave", async () => {
  const one = run();
  await runIngest({ ...one, options: { publish: false } });
  const store = await openStore(testConfig(one));
  const { manifest } = await rebuild({
    store,
    dataset: testConfig(one).datasets[0]!,
    stream: "images",
    opener: openUri(),
    sheets: null,
  });
  await store.close();
  assert.equal(manifest.id, reference.id);
});

test("stopped and started again, the same id; a stop publishes nothing", async () => {
  const one = run({
    config: { archive: { topM: 10, segmentRecords: 8 }, engine: { workers: 1, batch: 4, maxDelayMs: 1 } },
  });
  const controller = new AbortController();
  const stopped = await runIngest({
    ...one,
    options: {
      stop: controller.signal,
      onProgress: ({ done }) => {
        if (done >= 16) controller.abort();
      },
    },
  });
  assert.equal(stopped.stopped, true);
  assert.deepEqual(stopped.published, []);
  const resumed = await runIngest(one);
  assert.equal(resumed.published[0]!.manifest.id, reference.id);
  assert.equal(resumed.published[0]!.manifest.totals.records.in, 101);
  assert.ok(resumed.counts.scored < 90, "what was archived is not scored again");
});

test("killed at any moment and started again, the same id, and the totals add up", async () => {
  const child = fileURLToPath(new URL("../fixtures/ingest-child.js", import.meta.url));
  const next = uniform(Number(process.env.SEED ?? 3));
  const one = run({
    config: { archive: { topM: 10, segmentRecords: 8 }, bytes: "keep", checkpoint: { everySegments: 1 } },
  });
  let id: string | undefined;
  let kills = 0;
  for (let attempt = 0; id === undefined; attempt++) {
    const process = spawn("node", [child, JSON.stringify(one)], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(process, "exit");
    let output = "";
    let first: (() => void) | undefined;
    const working = new Promise<void>((resolve) => {
      first = resolve;
    });
    process.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      first?.();
    });
    if (attempt < 8) {
      await Promise.race([working, exited]);
      await sleep(next() * 150);
      process.kill("SIGKILL");
      kills++;
    }
    await exited;
    id = /^id (\w+)$/m.exec(output)?.[1];
  }
  assert.ok(kills >= 3, `killed ${kills} times`);
  assert.equal(id, reference.id);
  const again = (await runIngest(one)).published[0]!.manifest;
  assert.equal(again.totals.records.in, 101);
  assert.deepEqual(await findings(one.data, again), []);
});

test("a second process on the data folder is refused with the first one's pid", async () => {
  const one = run();
  const workspace = await openWorkspace(testConfig(one), "first");
  const child = fileURLToPath(new URL("../fixtures/ingest-child.js", import.meta.url));
  const second = spawn("node", [child, JSON.stringify(one)], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  second.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [code] = (await once(second, "exit")) as [number];
  await workspace.close();
  assert.notEqual(code, 0);
  assert.match(errors, /E_LOCKED/);
  assert.match(errors, new RegExp(`\\b${process.pid}\\b`));
});

test("scores that are not numbers quarantine their images, one by one, with the class named", async () => {
  const broken = join(root, "nan-teacher");
  await writeSmallTeacher(broken, "onnx", { classes: 10, output: "logits", nanClass: 4 });
  const result = await runIngest(run({ teacher: broken }));
  assert.equal(result.counts.scored, 0);
  assert.equal(result.counts.quarantined, 101);
  assert.deepEqual(result.published, []);
  assert.deepEqual(
    result.refused.map(({ dataset, error }) => [dataset, error.code]),
    [["d", "E_PUBLISH_EMPTY"]],
  );
});

test("a data folder that cannot be written is refused with its path", async () => {
  const place = join(root, "read-only");
  await import("node:fs/promises").then(({ writeFile }) => writeFile(place, "a file, no folder"));
  await assert.rejects(runIngest(run({ data: join(place, "data") })), (error: unknown) => {
    assert.ok(isSluiceError(error));
    assert.ok(error.message.includes(place));
    return true;
  });
  await chmod(place, 0o600);
});
