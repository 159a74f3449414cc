import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test, type TestContext } from "node:test";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { openStore, openWorkspace } from "../../pipelines/open/workspace.js";
import { SluiceError } from "../../schemas/errors.js";
import { encodeImageRecord } from "../../schemas/image-record.js";
import { writeSmallTeacher } from "../fixtures/models.js";
import { writePictures } from "../fixtures/pictures.js";
import { runIngest, testConfig, type RunIngest } from "../fixtures/run-ingest.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

const PARTITIONS = 3;
const IMAGES = 30;
/** Each partition has the first picture too: whichever begins with it, the others wait for its scores. */
const RECORDS = IMAGES + PARTITIONS - 1;

/** A log whose partitions have the pictures in turn, the first picture at the start of each. */
async function site(t: TestContext): Promise<RunIngest> {
  const folder = await temporaryFolder(t);
  const pictures = join(folder, "pictures");
  const { images } = await writePictures(pictures, { images: IMAGES });
  await writeSmallTeacher(join(folder, "teacher"), "onnx", { classes: 4, output: "logits" });
  const config = { partitions: PARTITIONS, datasets: [{ name: "d", select: { k: 5, p: 1 } }] };
  const run = { data: join(folder, "data"), pictures, teacher: join(folder, "teacher"), config, withoutSource: true };
  const workspace = await openWorkspace(testConfig(run), "test");
  try {
    await workspace.log.ensureTopic("images", PARTITIONS);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const own = images.filter((_, index) => index === 0 || index % PARTITIONS === partition);
      const records = own.map((name) => ({
        uri: pathToFileURL(join(pictures, name)).href,
        bytes: null,
        eventTimeMs: 0,
        licence: null,
        origin: null,
        retryOf: null,
      }));
      await workspace.log.append("images", partition, records.map(encodeImageRecord));
    }
  } finally {
    await workspace.close();
  }
  return run;
}

/** Fails for one reason or another than the image the first time that it decodes, and never again. */
function failingOnce(error: Error): Decoder {
  const sound = openSharpDecoder({ concurrency: 2 });
  let hasFailed = false;
  return {
    ...sound,
    header: (bytes) => sound.header(bytes),
    decode: (...args) => {
      if (hasFailed) return sound.decode(...args);
      hasFailed = true;
      return Promise.reject(error);
    },
  };
}

async function archived(run: RunIngest): Promise<number[]> {
  const config = testConfig(run);
  const store = await openStore(config);
  try {
    const [teacher] = [...(await readCards(store)).keys()];
    const frontier = await currentFrontier(store, { teacher: teacher!, stream: config.stream });
    return frontier.map(({ end }) => end);
  } finally {
    await store.close();
  }
}

test("a partition whose decoder fails ends alone: the others archive all that they have, and the next run the rest", async (t) => {
  const run = await site(t);
  const broken = new SluiceError("E_INTERNAL", "the decoder is broken");
  const warnings: string[] = [];
  const options = { decoder: failingOnce(broken), onWarning: (line: string) => void warnings.push(line) };
  await assert.rejects(runIngest({ ...run, options }), broken);
  assert.ok(
    warnings.some((line) => /^Scoring of images\/\d has failed; the other partitions go on\. the decoder/.test(line)),
    warnings.join("\n"),
  );
  const before = await archived(run);
  assert.equal(before.filter((end) => end > 0).length, 2, `${before.join(", ")} of three partitions`);

  const { counts, published } = await runIngest(run);
  const after = await archived(run);
  assert.equal(
    after.reduce((sum, end) => sum + end, 0),
    RECORDS,
  );
  assert.equal(counts.scored + counts.copied, RECORDS - before.reduce((sum, end) => sum + end, 0));
  // Whatever waited for whom: each image is scored once, and copied else.
  const { records } = published[0]!.manifest.totals;
  assert.deepEqual([records.scored, records.copied, records.quarantined], [IMAGES, PARTITIONS - 1, 0]);
});

test("following, a partition that fails for a while is begun anew by itself", async (t) => {
  const run = await site(t);
  const stop = new AbortController();
  const away = new SluiceError("E_STORE_IO", "away for a moment", { retryable: true });
  const warnings: string[] = [];
  const { counts } = await runIngest({
    ...run,
    options: {
      decoder: failingOnce(away),
      follow: { rescanMs: 10_000, judgeMs: 50 },
      publish: false,
      stop: stop.signal,
      onProgress: ({ done }) => {
        if (done === RECORDS) stop.abort();
      },
      onWarning: (line) => void warnings.push(line),
    },
  });
  assert.deepEqual([counts.scored, counts.copied], [IMAGES, PARTITIONS - 1]);
  assert.ok(
    warnings.some((line) => line.startsWith("away for a moment Going on from what is written down")),
    warnings.join("\n"),
  );
});
