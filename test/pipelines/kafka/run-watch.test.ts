import assert from "node:assert/strict";
import { test } from "node:test";
import { Account } from "../../../connectors/source/account.js";
import { refusedRecords } from "../../../pipelines/kafka/refused-records.js";
import { runWatch } from "../../../pipelines/kafka/run-watch.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { decodeImageRecord } from "../../../schemas/image-record.js";
import type { Observed } from "../../../schemas/observed.js";
import { memoryLog } from "../../fixtures/broker-log.js";
import { MemoryBroker } from "../../fixtures/memory-broker.js";

const { kafka, stream } = configSchema.parse({ kafka: { brokers: "none:9092" } });
const TIME = "2026-11-30T08:15:30.250Z";
const created = (key: string, bucket = "crawl", eventName = "s3:ObjectCreated:Put"): object => ({
  eventName,
  eventTime: TIME,
  s3: { bucket: { name: bucket }, object: { key: encodeURIComponent(key) } },
});

/** A stream with an events topic, and a watcher that runs until it has read what is there. */
async function site() {
  const broker = new MemoryBroker(() => 5);
  const log = memoryLog(broker);
  const { events, quarantine } = kafka!.topics;
  await log.ensureTopic(stream, 2);
  await log.ensureTopic(events, 1);
  await log.ensureTopic(quarantine, 1);
  const tell = (value: string): number =>
    broker.append(events, 0, [{ key: null, value: Buffer.from(value), headers: {}, timestampMs: 5 }]);
  const warnings: string[] = [];
  const seen: Observed[] = [];
  const watch = async (include?: readonly string[]): Promise<Account> => {
    const account = new Account();
    const stop = new AbortController();
    const { end } = broker.partition(events, 0);
    broker.onCommit = (_topic, _group, _partition, offset) => {
      if (offset >= end) stop.abort();
    };
    await runWatch({
      stream,
      kafka: kafka!,
      log,
      places: [
        { bucket: "crawl", prefix: "2026/" },
        { bucket: "gallery", prefix: "" },
      ],
      include,
      isStores: (bucket, key) => bucket === "gallery" && key.startsWith("packs/"),
      account,
      onAppended: () => undefined,
      onWarning: (message) => warnings.push(message),
      observer: { take: (event) => seen.push(event), watch: () => undefined },
      signal: stop.signal,
      nowMs: () => 5,
    });
    return account;
  };
  const images = (): string[] =>
    [0, 1]
      .flatMap((partition) =>
        [...broker.partition(stream, partition).records.values()].map((record) => {
          const { uri, bytes, eventTimeMs } = decodeImageRecord(record, { stream, partition });
          assert.equal(bytes, null);
          assert.equal(eventTimeMs, Date.parse(TIME));
          return uri;
        }),
      )
      .sort();
  return { broker, log, tell, watch, images, warnings, seen };
}

test("what is uploaded to watched places becomes an image by reference; all else is counted by reason, and the numbers add up", async () => {
  const { log, tell, watch, images, warnings, seen } = await site();
  tell(JSON.stringify({ Event: "s3:TestEvent", Bucket: "crawl" }));
  tell(
    JSON.stringify({
      Records: [
        created("2026/a b+é.jpg"),
        created("2025/old.jpg"),
        created("b.png", "gallery"),
        created("2026/a b+é.jpg", "crawl", "s3:ObjectRemoved:Delete"),
        created("2026/seen.jpg", "crawl", "s3:ObjectAccessed:Get"),
      ],
    }),
  );
  tell("nothing of the kind");
  tell(
    JSON.stringify({
      Records: [
        created("packs/x.pack", "gallery"),
        created("2026/.hidden.jpg"),
        created("2026/a.json"),
        created("2026/shard.tar"),
        created("2026/folder/"),
        created("c.jpg", "another"),
      ],
    }),
  );
  const { given, taken, known, passedOver } = (await watch()).read();
  assert.deepEqual(images(), ["s3://crawl/2026/a%20b+%C3%A9.jpg", "s3://gallery/b.png"]);
  const counts = Object.fromEntries(Object.entries(passedOver).map(([reason, { count }]) => [reason, count]));
  assert.deepEqual(counts, {
    testNotice: 1,
    elsewhere: 2,
    removed: 1,
    otherNotice: 1,
    refused: 1,
    store: 1,
    hidden: 1,
    sidecar: 1,
    shard: 1,
    folderMark: 1,
  });
  assert.equal(given, taken + known + Object.values(counts).reduce((sum, count) => sum + count, 0));
  const { labels, notices } = await refusedRecords(log, kafka!.topics);
  assert.deepEqual([labels.length, notices.length], [0, 1]);
  assert.deepEqual([notices[0]!.offset, notices[0]!.code], [2, "E_RECORD_SCHEMA"]);
  assert.equal(warnings.length, 1);
  const told = seen.filter((event) => event.event === "notices.read");
  assert.deepEqual(told, [{ event: "notices.read", taken: 2, passedOver: 10, refused: 1 }]);
});

test("a watcher goes on where one has committed; of an upload that is told twice both records lie in one partition", async () => {
  const { broker, tell, watch, images } = await site();
  tell(JSON.stringify({ Records: [created("2026/a.jpg")] }));
  await watch();
  tell(JSON.stringify({ Records: [created("2026/b.jpg"), created("2026/b.txt")] }));
  await watch(["*.jpg"]);
  assert.deepEqual(images(), ["s3://crawl/2026/a.jpg", "s3://crawl/2026/b.jpg"]);
  // Killed between the append and the commit, another one appends it once more.
  broker.commit(kafka!.topics.events, "sluice-images-watch", 0, 1);
  tell(JSON.stringify({ Records: [] }));
  await watch();
  assert.deepEqual(images(), ["s3://crawl/2026/a.jpg", "s3://crawl/2026/b.jpg", "s3://crawl/2026/b.jpg"]);
  const holders = [0, 1].filter((partition) =>
    [...broker.partition(stream, partition).records.values()].some(({ headers }) =>
      headers["sluice-uri"]?.endsWith("b.jpg"),
    ),
  );
  assert.equal(holders.length, 1);
});

test("notices that went before they were read are said, and so is a topic that was made anew", async () => {
  const { broker, tell, watch, images, warnings } = await site();
  const { events } = kafka!.topics;
  for (const key of ["2026/a.jpg", "2026/b.jpg", "2026/c.jpg"]) tell(JSON.stringify({ Records: [created(key)] }));
  broker.commit(events, "sluice-images-watch", 0, 1);
  broker.truncate(events, 0, 2);
  await watch();
  assert.deepEqual(images(), ["s3://crawl/2026/c.jpg"]);
  assert.match(warnings[0]!, /go on at offset 1, found that it starts at 2: 1 offset .* `sluice produce s3:/);
  broker.commit(events, "sluice-images-watch", 0, 90);
  await watch();
  assert.match(warnings[1]!, /reach offset 90, .* its end at 3: the topic was made anew/);
  assert.deepEqual(images(), ["s3://crawl/2026/c.jpg", "s3://crawl/2026/c.jpg"]);
});

test("without the topic it says what to do", async () => {
  const log = memoryLog(new MemoryBroker(() => 5));
  const run = runWatch({
    stream,
    kafka: kafka!,
    log,
    places: [],
    include: undefined,
    isStores: () => false,
    account: new Account(),
    onAppended: () => undefined,
    onWarning: () => undefined,
    signal: new AbortController().signal,
    nowMs: () => 5,
  });
  await assert.rejects(run, (error) => isSluiceError(error, "E_LOG_IO") && /--events/.test(error.message));
});
