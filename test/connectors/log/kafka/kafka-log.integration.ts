import assert from "node:assert/strict";
import { test } from "node:test";
import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { logConformance } from "../../../conformance/log.js";
import { cannotStart } from "../../../deploy/local/require-service.js";

const skip = await cannotStart("kafka");
const conforming: { broker?: LocalKafka } = {};

logConformance({
  name: "kafka",
  skip,
  runs: 15,
  open: async () => {
    conforming.broker ??= await startKafka();
    return openKafkaLog({ brokers: [conforming.broker.address] });
  },
  afterwards: async () => conforming.broker?.stop(),
});

test("several topics are read at once through one log, however a broker orders its answer", { skip }, async (t) => {
  const broker = await startKafka();
  t.after(() => broker.stop());
  const log = await openKafkaLog({ brokers: [broker.address] });
  t.after(() => log.close());
  const ROUNDS = 60;
  const topics = ["c", "a", "b"];
  const places = topics.flatMap((topic) => [0, 1].map((partition) => ({ topic, partition })));
  for (const { topic, partition } of places) {
    await log.ensureTopic(topic, 2);
    const values = Array.from({ length: ROUNDS }, (_, at) => `${topic} ${partition} ${at}`);
    const records = values.map((value) => ({ key: null, value: Buffer.from(value), headers: {}, timestampMs: 1 }));
    await log.append(topic, partition, records);
  }
  for (let at = 0; at < ROUNDS; at++) {
    const read = await Promise.all(places.map(({ topic, partition }) => log.fetch(topic, partition, [at])));
    assert.deepEqual(
      read.map((records) => records.map(({ value }) => Buffer.from(value!).toString())),
      places.map(({ topic, partition }) => [`${topic} ${partition} ${at}`]),
    );
  }
});
