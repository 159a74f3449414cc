// `node kafka-bare.js '{"brokers": …, "topic": …, "partitions": …, "count": …, "fetchBytes": …}'`: kafkajs's own consumer, whose
// eachBatch counts bytes and nothing else: what reading a topic costs at the least. Says what it does (../kafka/say.ts).
import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import { say } from "../kafka/say.js";

interface Options {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly count: number;
  /** As much of a partition at a time as our own reader asks for */
  readonly fetchBytes: number;
}

const { brokers, topic, partitions, count, fetchBytes } = JSON.parse(process.argv[2] ?? "") as Options;
const kafka = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
const consumer = kafka.consumer({
  groupId: `bare-${randomUUID()}`,
  maxBytesPerPartition: fetchBytes,
  maxBytes: fetchBytes * partitions,
});
await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: true });
let images = 0;
let bytes = 0;
await new Promise<void>((resolve, reject) => {
  const run = consumer.run({
    partitionsConsumedConcurrently: partitions,
    eachBatch: ({ batch }) => {
      if (images === 0) say("first");
      for (const { value } of batch.messages) bytes += value?.length ?? 0;
      images += batch.messages.length;
      if (images >= count) {
        say("done", { images, bytes });
        resolve();
      }
      return Promise.resolve();
    },
  });
  run.catch(reject);
});
await consumer.disconnect();
process.exit(0);
