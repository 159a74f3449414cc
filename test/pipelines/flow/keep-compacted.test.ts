import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { readCards } from "../../../operators/archive/teacher-registry.js";
import { openStore } from "../../../pipelines/open/workspace.js";
import { chainTotals } from "../../../pipelines/versions/chain-totals.js";
import { verifyArchive } from "../../../pipelines/versions/verify-archive.js";
import { verifyVersion } from "../../../pipelines/versions/verify-version.js";
import { keys } from "../../../schemas/keys.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { collect } from "../../fixtures/publishing.js";
import { runIngest, testConfig } from "../../fixtures/run-ingest.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const IMAGES = 400;
const COPIES = 30;

test("an ingest of more segments than a run takes compacts and sweeps them as it goes, and repeated images have their rows copied", async (t) => {
  const root = await temporaryFolder(t);
  const teacher = join(root, "teacher");
  await writeSmallTeacher(teacher, "onnx", { classes: 5, output: "logits" });
  const pictures = join(root, "pictures");
  await writePictures(join(pictures, "first"), { images: IMAGES }, 1);
  const run = {
    data: join(root, "data"),
    pictures,
    teacher,
    config: { partitions: 1, archive: { topM: 5, segmentRecords: 1, segmentDelayMs: 5000 } },
  };
  // Each look at the clock is two minutes later: an hour passes between two compactions.
  const beginMs = Date.now();
  let looks = 0;
  const nowMs = (): number => beginMs + 120_000 * looks++;
  const first = await runIngest({ ...run, options: { nowMs } });
  assert.equal(first.counts.scored, IMAGES);
  const store = await openStore(testConfig(run));
  t.after(() => store.close());
  const [found] = await readCards(store);
  const archive = new ArchiveReader(store, { teacher: found![0], stream: "images" });
  const [chain] = await archive.chains();
  const reader = archive.chain(chain!);
  assert((await reader.runs.end()) >= 256, `runs end at ${await reader.runs.end()}`);
  const segments = await collect(store.list(keys.chain(chain!)));
  assert(segments.length < 256, `${segments.length} segments are left`);
  assert.equal(await reader.end(), IMAGES);

  // The same pictures under other names.
  await writePictures(join(pictures, "again"), { images: COPIES }, 1);
  const second = await runIngest({ ...run, options: { nowMs } });
  assert.deepEqual([second.counts.scored, second.counts.copied], [0, COPIES]);
  const report = await verifyArchive({ store, stream: "images", teachers: [found![0]], datasets: ["d"] });
  assert.deepEqual([report.damaged, report.rows], [[], IMAGES + COPIES]);
  const { findings } = await verifyVersion(store, "d", "latest", { chainTotals: (one) => chainTotals(store, one) });
  assert.deepEqual(findings, []);
});
