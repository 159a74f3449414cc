import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { assertStreamStore, streamStoreFault } from "../../../pipelines/kafka/stream-store.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { kafkaSchema, withTopicNames } from "../../../schemas/kafka-config.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

async function cluster(t: TestContext) {
  const log = await openEmbeddedLog(await temporaryFolder(t), { exclusive: true, command: "test" });
  t.after(() => log.close());
  return async (stream: string, settings: object, store = openMemoryStore()) => {
    const kafka = withTopicNames(kafkaSchema.parse({ brokers: "a:1", ...settings }), stream);
    await log.ensureTopic(kafka.topics.store, 1);
    return { log, kafka, stream, store };
  };
}

test("two streams whose prefixes and names make the same text are told apart: the second one is refused, before it does anything", async (t) => {
  const site = await cluster(t);
  const first = await site("eu-cameras", { prefix: "sluice-" });
  const second = await site("cameras", { prefix: "sluice-eu-" });
  assert.equal(first.kafka.topics.candidates, second.kafka.topics.candidates);
  await assertStreamStore(first);
  await assert.rejects(assertStreamStore(second), (error) => {
    assert.ok(isSluiceError(error, "E_CONFIG"));
    return /stream "eu-cameras" has the same names.*kafka\.prefix/.test(error.message);
  });
  assert.equal((await streamStoreFault(second))?.code, "E_CONFIG");
  await assertStreamStore(first);
  assert.equal((await log0(first)).end, 1);
  // Names that only begin alike are two streams'.
  await assertStreamStore(await site("eu", { prefix: "sluice-" }));
});

test("streams that are told to share a topic for it each have a store of their own there, and keep to it", async (t) => {
  const site = await cluster(t);
  const topics = { topics: { store: "company-stores" } };
  const [a, b] = [await site("a", topics), await site("b", topics)];
  await assertStreamStore(a);
  await assertStreamStore(b);
  await assertStreamStore(a);
  await assert.rejects(assertStreamStore(await site("a", topics, openMemoryStore())), (error) =>
    isSluiceError(error, "E_STORE_OTHER"),
  );
});

async function log0({ log, kafka }: Parameters<typeof assertStreamStore>[0]): Promise<{ end: number }> {
  return (await log.ends(kafka.topics.store))[0]!;
}
