import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";
import { kafkaTool, startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { batchesOf, text, textOf } from "../../../conformance/log.js";
import { cannotStart } from "../../../deploy/local/require-service.js";

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
const CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer";

/** Compressible but not trivially so; together more than the blocks and windows of every codec */
const LINES = Array.from(
  { length: 3_000 },
  (_, i) => `${i} ${"the quick brown fox ".repeat(i % 17)}${(i * 7919) % 1009}`,
);

describe("compression, on kafka", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  before(async () => {
    broker = await startKafka();
  });
  after(() => broker.stop());

  for (const codec of CODECS) {
    test(`${codec}: Java reads what we write, and we read what Java and we write`, async (t) => {
      const log = await openKafkaLog({ brokers: [broker.address], compression: codec });
      t.after(() => log.close());
      const topic = `topic-${randomUUID()}`;
      await log.ensureTopic(topic, 1);
      const at = ["--bootstrap-server", broker.address, "--topic", topic];
      await log.append(topic, 0, LINES.map(text));
      const args = [...at, "--from-beginning", "--max-messages", String(LINES.length)];
      assert.deepEqual((await kafkaTool(CONSOLE_CONSUMER, args)).trimEnd().split("\n"), LINES);
      const settings = ["--compression-codec", codec, "--producer-property", "linger.ms=200", "--batch-size", "900000"];
      await kafkaTool(CONSOLE_PRODUCER, [...at, ...settings], `${LINES.join("\n")}\n`);
      const batches = await batchesOf(log, topic, 0, { maxRecords: 1e6, maxBytes: 1e9, until: 2 * LINES.length });
      assert.deepEqual(
        batches.flatMap(({ records }) => records.map(textOf)),
        [...LINES, ...LINES],
      );
      await log.append(topic, 0, [text("a cursor's, too")], { name: `cursor-${randomUUID()}`, value: "1" });
      const [last] = await log.fetch(topic, 0, [2 * LINES.length]);
      assert.equal(textOf(last!), "a cursor's, too");
    });
  }
});
