import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LiveFigures } from "../../../pipelines/console/live-figures.js";
import { lastRun, StageRecord } from "../../../pipelines/flow/stage-record.js";
import { configSchema } from "../../../schemas/config.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const counts = { appended: 9, scored: 4, copied: 0, quarantined: 0, lost: 0, sizeBytes: 0 };

test("a run that was killed is busy no more, as soon as it has been silent for a while", async (context) => {
  const data = await mkdtemp(join(tmpdir(), "sluice-live-"));
  context.after(() => rm(data, { recursive: true }));
  const config = configSchema.parse({ data });
  let atMs = 0;
  const record = new StageRecord(data, () => atMs);
  record.clock.setPlaces({ fetch: 2, decode: 1, score: 1, archive: 1 });
  for (let item = 0; item < 3; item++) record.clock.begin("decode");
  atMs = 10_000;
  record.note({ counts, waiting: 5 });
  while ((await lastRun(config)) === null) await new Promise(setImmediate);
  const live = new LiveFigures({
    config: () => config,
    store: openMemoryStore(),
    nowMs: () => atMs,
    onFault: (message) => {
      throw new Error(message);
    },
  });
  const busy = await live.flow();
  assert.deepEqual([busy.stages.length, busy.stages[0]!.decode, busy.now.waiting], [1, 1, 5]);
  assert.deepEqual(
    busy.now.run!.queues!.decode,
    { items: 3, places: 1, full: 1 },
    "two wait, and what comes before waits too",
  );
  // It writes nothing down any more, and never that it has ended.
  atMs += 60_000;
  const silent = await live.flow();
  assert.deepEqual([silent.stages.length, silent.now.waiting, silent.now.run!.ended], [1, null, false]);
});
