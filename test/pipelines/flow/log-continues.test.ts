import assert from "node:assert/strict";
import { test } from "node:test";
import { liveChain } from "../../../operators/archive/chain.js";
import { streamLog, succeedStreamLog } from "../../../operators/archive/stream-log.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { assertContinues } from "../../../pipelines/flow/log-continues.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, testCard } from "../../fixtures/archive.js";
import { memoryLog } from "../../fixtures/broker-log.js";
import { MemoryBroker } from "../../fixtures/memory-broker.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const STREAM = "images";

test("a topic that was made anew with fewer partitions is refused until it is adopted, and gone on with from then on", async () => {
  const store = openMemoryStore();
  const card = testCard(CLASSES);
  await saveCard(store, card);
  const records = Array.from({ length: 10 }, (_, image) => ({ image, logits: tiedLogits(image, CLASSES) }));
  for (const partition of [0, 1, 2]) {
    const chain = await liveChain(store, { teacher: teacherDigest(card), stream: STREAM, partition }, 0);
    await archiveRecords(store, chain, records, [7], CLASSES);
  }
  const before = memoryLog(new MemoryBroker(() => 5));
  await before.ensureTopic(STREAM, 3);
  await succeedStreamLog(store, STREAM, await before.identity(STREAM));

  const broker = new MemoryBroker(() => 5);
  const log = memoryLog(broker);
  await log.ensureTopic("another", 1);
  await log.ensureTopic(STREAM, 1);
  const isRecreated = (error: unknown): boolean => isSluiceError(error, "E_LOG_RECREATED");
  await assert.rejects(assertContinues(log, store, STREAM), isRecreated);
  // What `sluice topics adopt` records.
  await succeedStreamLog(store, STREAM, { ...(await log.identity(STREAM)), bases: [0, 0, 0] });
  const { log: standing } = (await streamLog(store, STREAM))!;
  const counted = { ...log, identity: () => Promise.resolve(standing) };
  // The partition that there is ends before its archive: that one is another's still.
  await assert.rejects(assertContinues(counted, store, STREAM), isRecreated);
  const filler = { key: null, value: Buffer.from("x"), headers: {}, timestampMs: 5 };
  broker.append(STREAM, 0, [filler], 10);
  await assertContinues(counted, store, STREAM);
});
