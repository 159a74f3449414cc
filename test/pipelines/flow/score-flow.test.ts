import assert from "node:assert/strict";
import { test } from "node:test";
import { openUri } from "../../../connectors/source/open-uri.js";
import { setImmediate as turn } from "node:timers/promises";
import type { LogBatch } from "../../../connectors/log/log.js";
import { Dedupe } from "../../../operators/image/dedupe.js";
import { ByteBudget } from "../../../pipelines/flow/flow.js";
import { scoreFlow } from "../../../pipelines/flow/score-flow.js";
import { configSchema } from "../../../schemas/config.js";
import { encodeImageRecord } from "../../../schemas/image-record.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { madeUpDecoder, madeUpEngine, madeUpTeacher } from "../../fixtures/made-up-teacher.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const SEGMENT = 8;
const TOP_M = 4;
const COUNT = 3 * SEGMENT;
/** More than everything in memory needs */
const TURNS = 5000;

test("the images of the next segment are scored while one is written", async () => {
  const teacher = madeUpTeacher("score flow");
  const { card } = teacher;
  const config = configSchema.parse({
    datasets: [{ name: "best", select: { p: 1 } }],
    archive: { topM: TOP_M, segmentRecords: SEGMENT, segmentDelayMs: 60_000, pauseDelayMs: 60_000 },
    engine: { batch: 4, maxDelayMs: 60_000 },
  });
  const engine = madeUpEngine(teacher);
  let scored = 0;
  let scoredBehindTheFirst = 0;
  const store = openMemoryStore();
  const slow = {
    ...store,
    putIfAbsent: async (key: string, bytes: Uint8Array) => {
      const before = scored;
      for (let turns = 0; turns < TURNS && scored < 2 * SEGMENT; turns++) await turn();
      if (before < 2 * SEGMENT) scoredBehindTheFirst = scored;
      return store.putIfAbsent(key, bytes);
    },
  };
  async function* read(offset: number): AsyncGenerator<LogBatch> {
    for (; offset < COUNT; offset++) {
      const image = {
        uri: `https://images.example/${offset}`,
        bytes: Buffer.from(`${offset}`.padStart(64)),
        eventTimeMs: 1_760_000_000_000,
        licence: null,
        origin: null,
        retryOf: null,
      };
      await Promise.resolve();
      yield { records: [{ ...encodeImageRecord(image), offset }], end: offset + 1, logEnd: COUNT };
    }
  }
  const flow = scoreFlow(
    {
      partition: 0,
      read,
      config,
      card,
      engine: {
        ...engine,
        score: (batch) => {
          scored += batch.count;
          return engine.score(batch);
        },
      },
      decoder: madeUpDecoder,
      opener: openUri(),
      dedupe: new Dedupe({ find: () => null }),
      budget: new ByteBudget(1 << 20),
      archive: {
        store: slow,
        chain: { teacher: teacherDigest(card), stream: "images", partition: 0, origin: 0 },
        topM: TOP_M,
        classCount: null,
        embeddingSize: null,
        engine: engine.info,
        codeVersion: "test",
        retainBytes: "winners",
        keepers: () => [],
        attempt: () => "a",
      },
      decodeConcurrency: 2,
      nowMs: () => 1_760_000_000_000,
      until: COUNT,
    },
    { end: 0, watermarkMs: null },
  );
  const ranges: string[] = [];
  for await (const { header } of flow) ranges.push(`[${header.start}, ${header.end})`);
  assert.deepEqual(ranges, ["[0, 8)", "[8, 16)", "[16, 24)"]);
  assert.ok(scoredBehindTheFirst >= 2 * SEGMENT, `${scoredBehindTheFirst} were scored while the first was written`);
});
