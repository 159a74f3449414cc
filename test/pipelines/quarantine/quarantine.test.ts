import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { openUri } from "../../../connectors/source/open-uri.js";
import type { ImageOpener } from "../../../connectors/source/source.js";
import { openTarSource } from "../../../connectors/source/tar/tar.js";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { countQuarantine, listQuarantine } from "../../../pipelines/quarantine/quarantine.js";
import { retryQuarantined } from "../../../pipelines/quarantine/retry-quarantined.js";
import { openWorkspace } from "../../../pipelines/open/workspace.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { collect } from "../../fixtures/publishing.js";
import { runIngest, testConfig } from "../../fixtures/run-ingest.js";
import { tarOf } from "../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

test("what was quarantined is listed with its reason, and a retry takes it once it is mended", async () => {
  const root = await mkdtemp(join(tmpdir(), "sluice-quarantine-"));
  try {
    const pictures = join(root, "pictures");
    const teacher = join(root, "teacher");
    const { card } = await writeSmallTeacher(teacher, "onnx", { classes: 4, output: "logits" });
    const made = await writePictures(pictures, { images: 12, broken: 3 });
    const good = made.images.length;
    const one = { data: join(root, "data"), pictures, teacher, config: { partitions: 2 } };
    await runIngest(one);

    const place = { teacher: teacherDigest(card), stream: "images" };
    const listed = async () => {
      const workspace = await openWorkspace(testConfig(one), "test");
      try {
        return await collect(listQuarantine(workspace.store, place));
      } finally {
        await workspace.close();
      }
    };
    const before = await listed();
    assert.deepEqual(before.map(({ code }) => code).sort(), ["E_IMAGE_EMPTY", "E_IMAGE_EMPTY", "E_IMAGE_FORMAT"]);
    assert.ok(before.every(({ uri, sha256 }) => uri.includes("/broken-") && sha256?.length === 64));

    // One file is mended, the others are as they were.
    await writePictures(join(root, "other"), { images: 1 }, 77, () => "mended.png");
    await writeFile(join(pictures, made.broken[0]!), await readFile(join(root, "other", "mended.png")));
    const workspace = await openWorkspace(testConfig(one), "test");
    const { appended, unavailable } = await retryQuarantined(workspace.log, listQuarantine(workspace.store, place));
    await workspace.close();
    assert.equal(appended, 3);
    assert.deepEqual(unavailable, []);

    const result = await runIngest({ ...one, withoutSource: true });
    assert.equal(result.counts.scored, 1);
    assert.equal(result.counts.quarantined, 2);
    const { records } = result.published[0]!.manifest.totals;
    assert.deepEqual(records, { in: good + 6, scored: good + 1, copied: 0, quarantined: 5, lost: 0 });
    const after = await listed();
    assert.equal(after.length, 2);
    assert.ok(after.every(({ retryOf }) => retryOf !== null));
    const times = new Map(before.map(({ uri, eventTimeMs }) => [uri, eventTimeMs]));
    for (const { uri, eventTimeMs } of after) assert.equal(eventTimeMs, times.get(uri), "the first event time stays");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

for (const partitions of [1, 2]) {
  test(`what is seen whole in its place later is in quarantine no more, over ${partitions} partitions`, async (t) => {
    const root = await temporaryFolder(t);
    const pictures = join(root, "pictures");
    const teacher = join(root, "teacher");
    const { card } = await writeSmallTeacher(teacher, "onnx", { classes: 4, output: "logits" });
    const made = await writePictures(pictures, { images: 12, broken: 3 });
    const [mended, stillBroken, untouched] = made.broken as [string, string, string];
    const one = { data: join(root, "data"), pictures, teacher, config: { partitions } };
    await runIngest(one);

    await writePictures(join(root, "other"), { images: 1 }, 77, () => "mended.png");
    await writeFile(join(pictures, mended), await readFile(join(root, "other", "mended.png")));
    await writeFile(join(pictures, stillBroken), "half a picture");
    await runIngest(one);
    const workspace = await openWorkspace(testConfig(one), "test");
    try {
      const place = { teacher: teacherDigest(card), stream: "images" };
      const listed = await collect(listQuarantine(workspace.store, place));
      assert.deepEqual(
        listed.map(({ uri }) => basename(uri)).sort(),
        [basename(stillBroken), basename(untouched)].sort(),
      );
      assert.equal(
        listed.find(({ uri }) => uri.endsWith(basename(stillBroken)))?.sha256,
        createHash("sha256").update("half a picture").digest("hex"),
        "as it was refused last",
      );
      assert.deepEqual(
        await collect(listQuarantine(workspace.store, place, { match: `file://${join(pictures, mended)}` })),
        [],
      );
    } finally {
      await workspace.close();
    }
  });
}

test("a shard that broke off and was mended is in quarantine no more", async (t) => {
  const root = await temporaryFolder(t);
  const teacher = join(root, "teacher");
  const { card } = await writeSmallTeacher(teacher, "onnx", { classes: 4, output: "logits" });
  const made = await writePictures(join(root, "pictures"), { images: 6 });
  const members = await Promise.all(
    made.images.map(async (name) => ({ name, content: await readFile(join(root, "pictures", name)) })),
  );
  const whole = await tarOf(members);
  const shard = join(root, "shard.tar");
  const data = join(root, "data");
  const one = { data, pictures: root, teacher };
  let counted: Record<string, number> = {};
  const run = async (bytes: Uint8Array) => {
    await writeFile(shard, bytes);
    const source = await openTarSource([shard], { listings: join(data, "listings") });
    await runIngest({ ...one, withoutSource: true, options: { source } });
    const workspace = await openWorkspace(testConfig(one), "test");
    try {
      const place = { teacher: teacherDigest(card), stream: "images" };
      counted = await countQuarantine(new ArchiveReader(workspace.store, place));
      return (await collect(listQuarantine(workspace.store, place))).map(({ uri, offset }) => [uri, offset]);
    } finally {
      await workspace.close();
    }
  };
  const [[uri, offset] = [], ...others] = await run(whole.subarray(0, whole.length >> 1));
  assert.equal(uri, `tar:${shard}#`);
  assert.deepEqual(others, []);
  const [[again, later] = [], ...more] = await run(whole.subarray(0, (whole.length >> 1) + 2048));
  assert.deepEqual([again, more], [uri, []]);
  assert.ok(Number(later) > Number(offset), "once, as it broke off last");
  assert.deepEqual(await run(whole), []);
  assert.deepEqual(counted, { E_IMAGE_UNREADABLE: 2 }, "status counts every refusal that was not retried");
});

test("a retry reads a packed shard once, however many of its images are taken up", async (t) => {
  const root = await temporaryFolder(t);
  const teacher = join(root, "teacher");
  const { card } = await writeSmallTeacher(teacher, "onnx", { classes: 4, output: "logits" });
  const made = await writePictures(join(root, "pictures"), { images: 9 });
  const members = await Promise.all(
    made.images.map(async (name) => ({ name, content: await readFile(join(root, "pictures", name)) })),
  );
  const shard = join(root, "shard.tar.gz");
  await writeFile(shard, gzipSync(await tarOf(members)));
  const one = { data: join(root, "data"), pictures: root, teacher };
  const small = { ...one, config: { decode: { maxBytes: 10 } } };
  const source = await openTarSource([shard], { maxBytes: 10 });
  const refused = await runIngest({ ...small, withoutSource: true, options: { source } });
  assert.equal(refused.counts.quarantined, 9);

  const opened = { alone: 0, together: 0 };
  const uris = openUri();
  const opener: ImageOpener = {
    open: (uri, maxBytes) => {
      opened.alone++;
      return uris.open(uri, maxBytes);
    },
    openMany: (asked) => {
      opened.together++;
      return uris.openMany(asked);
    },
  };
  const workspace = await openWorkspace(testConfig(one), "test");
  const place = { teacher: teacherDigest(card), stream: "images" };
  const { appended } = await retryQuarantined(workspace.log, listQuarantine(workspace.store, place), {
    opener,
    maxBytes: 1 << 20,
  });
  await workspace.close();
  assert.equal(appended, 9);
  const { counts } = await runIngest({ ...one, withoutSource: true, options: { opener, publish: false } });
  assert.equal(counts.scored, 9);
  assert.deepEqual(opened, { alone: 0, together: 1 });
});
