import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { cannotStart } from "../../../deploy/local/require-service.js";

test(
  "topics of gzipTopics take fewer bytes, others are left as they are",
  { skip: await cannotStart("kafka") },
  async (t) => {
    const kafka = await startKafka();
    t.after(() => kafka.stop());
    const log = await openKafkaLog({ brokers: [kafka.address], gzipTopics: ["columns"] });
    t.after(() => log.close());
    const value = Buffer.alloc(100_000, "0123456789");
    const record = { key: null, value, headers: {}, timestampMs: 1_760_000_000_000 };
    for (const topic of ["columns", "images"]) {
      await log.ensureTopic(topic, 1);
      await log.append(topic, 0, [record]);
      const [found] = await log.fetch(topic, 0, [0]);
      assert.deepEqual(found!.value, value);
    }
    assert.ok((await bytesOnDisk(kafka, "columns")) < value.length / 10);
    assert.ok((await bytesOnDisk(kafka, "images")) > value.length);
  },
);

/** As the broker keeps what was sent */
async function bytesOnDisk({ folder }: LocalKafka, topic: string): Promise<number> {
  const partition = join(folder, "data", `${topic}-0`);
  const files = (await readdir(partition)).filter((name) => name.endsWith(".log"));
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(partition, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
