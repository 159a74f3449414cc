import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { test } from "node:test";
import type { ImageOpener } from "../../connectors/source/source.js";
import { PackReader } from "../../operators/pack/pack-reader.js";
import { scoreAgain } from "../../pipelines/score-again.js";
import { sha256 } from "../../schemas/canonical.js";
import { configSchema } from "../../schemas/config.js";
import { encodeImageRecord } from "../../schemas/image-record.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { packOfRow } from "../../schemas/pack.js";
import { madeUpDecoder, madeUpEngine, madeUpTeacher } from "../fixtures/made-up-teacher.js";
import { openMemoryStore } from "../fixtures/memory-store.js";

const COUNT = 40;
const BATCH = 4;
/** Of one batch: longer than a first segment waits for a second one */
const SLOW_MS = 60;
const teacher = madeUpTeacher("score again");
const chain = { teacher: teacherDigest(teacher.card), stream: "images", partition: 0, origin: 0 };

const bytesAt = (offset: number): Buffer => Buffer.from(`image ${offset % 30}`.padStart(64));
const uriAt = (offset: number): string => `https://images.example/${offset}`;

async function again(bytes: "keep" | "refer") {
  const store = openMemoryStore();
  const engine = madeUpEngine(teacher);
  const opened: string[] = [];
  const opener: ImageOpener = {
    open: async (uri) => {
      opened.push(uri);
      return bytesAt(Number(uri.split("/").at(-1)));
    },
    openMany: () => {
      throw new Error("not asked");
    },
  };
  const segment = await scoreAgain(
    {
      config: configSchema.parse({ bytes, archive: { topM: 10 }, engine: { batch: BATCH, maxDelayMs: 60_000 } }),
      log: {
        ends: () => Promise.resolve([{ start: 0, end: COUNT }]),
        fetch: (_stream, _partition, offsets) =>
          Promise.resolve(
            offsets.map((offset) => {
              const place = { uri: uriAt(offset), bytes: null, licence: null, origin: null, retryOf: null };
              return { ...encodeImageRecord({ ...place, eventTimeMs: 1000 }), offset };
            }),
          ),
      },
      store,
      scoring: {
        teacher,
        engine: {
          ...engine,
          parallelism: 1,
          score: async (batch) => {
            await wait(SLOW_MS);
            return engine.score(batch);
          },
        },
        decoder: madeUpDecoder,
        opener,
      },
      attempt: () => "again",
      nowMs: Date.now,
    },
    chain,
    { end: 0, watermarkMs: null },
    COUNT,
  );
  return { store, segment, opened };
}

test("records that take the engine many batches come as one segment, however slow it is", async () => {
  const { segment, opened, store } = await again("refer");
  assert.deepEqual([segment.header.start, segment.header.end, segment.batch.count], [0, COUNT, COUNT]);
  assert.equal(opened.length, COUNT);
  assert.equal(segment.header.pack, null);
  assert.equal(store.objects.size, 0);
});

test("images that may be kept are kept, fetched once more for their pack rather than held until all are scored", async () => {
  const { segment, opened, store } = await again("keep");
  assert.equal(opened.length, COUNT + 30, "each image once more");
  const packs = new PackReader(store);
  for (let row = 0; row < COUNT; row++) {
    const digest = sha256(bytesAt(row));
    assert.deepEqual(Buffer.from(segment.batch.digest.subarray(row * 32, row * 32 + 32)), Buffer.from(digest));
    const pack = packOfRow(segment.batch.pack.get(row)!, chain);
    assert.ok(await packs.stands(pack, Buffer.from(digest).toString("hex")), `image ${row}`);
  }
});
