import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { listQuarantine, retryQuarantined } from "../../../pipelines/quarantine/quarantine.js";
import { openWorkspace } from "../../../pipelines/open/workspace.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { collect } from "../../fixtures/publishing.js";
import { runIngest, testConfig } from "../../fixtures/run-ingest.js";

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
