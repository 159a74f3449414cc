import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../../connectors/engine/open.js";
import { loadTeacher } from "../../../connectors/engine/teacher/teacher-files.js";
import { lastStageShares } from "../../../pipelines/flow/stage-record.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { writePictures } from "../../fixtures/pictures.js";
import { runIngest, testConfig } from "../../fixtures/run-ingest.js";

/** A whole ingest whose clock only goes on while one stage works: that stage has all the time. */
describe("the stage that limits an ingest", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "sluice-stages-"));
    await writeSmallTeacher(join(root, "teacher"), "onnx", { classes: 10, output: "logits" });
    await writePictures(join(root, "pictures"), { images: 24, duplicates: 2, broken: 1 });
  });
  after(() => rm(root, { recursive: true, force: true }));

  for (const slow of ["decode", "score"] as const) {
    test(`${slow}, where that alone takes time; kept for status`, async () => {
      let nowMs = Date.now();
      const take = <Made>(stage: string, made: Promise<Made>): Promise<Made> => {
        if (stage === slow) nowMs += 20;
        return made;
      };
      const run = { data: join(root, slow), pictures: join(root, "pictures"), teacher: join(root, "teacher") };
      const decoder = openSharpDecoder({ concurrency: 1 });
      const engine = await openEngine(await loadTeacher(run.teacher), testConfig(run).engine);
      try {
        const { stages } = await runIngest({
          ...run,
          config: { decode: { concurrency: 1 }, engine: { workers: 1, batch: 8, maxDelayMs: 5 } },
          options: {
            nowMs: () => nowMs,
            decoder: {
              ...decoder,
              header: (bytes) => decoder.header(bytes),
              decode: (...image) => take("decode", decoder.decode(...image)),
            },
            engine: {
              info: engine.info,
              parallelism: engine.parallelism,
              score: (batch) => take("score", engine.score(batch)),
              close: () => Promise.resolve(),
            },
          },
        });
        assert.equal(stages.limits, slow);
        assert.equal(stages.shares[slow], 1);
        assert.equal(stages.shares.waiting, 0);
        assert.deepEqual(await lastStageShares({ data: run.data }), stages);
      } finally {
        await engine.close();
      }
    });
  }
});
