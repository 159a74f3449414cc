import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { openKafkaLog, type KafkaLog, type KafkaLogOptions } from "../../../../connectors/log/kafka/kafka-log.js";
import { startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { batchesOf, text, textOf } from "../../../conformance/log.js";
import { cannotStart } from "../../../deploy/local/require-service.js";
import { LineProcess } from "../../../fixtures/line-process.js";

const LIMITS = { maxRecords: 1_000, maxBytes: 10_000_000 };

describe("appends with a cursor, on kafka", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  before(async () => {
    broker = await startKafka();
  });
  after(() => broker.stop());

  async function open(t: TestContext, options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
    const log = await openKafkaLog({ brokers: [broker.address], ...options });
    t.after(() => log.close());
    return log;
  }

  async function freshTopic(log: KafkaLog, partitions = 1): Promise<string> {
    const topic = `topic-${randomUUID()}`;
    await log.ensureTopic(topic, partitions);
    return topic;
  }

  /** Everything in partition 0, read as a program does that ends at the log's end. */
  async function everything(log: KafkaLog, topic: string): Promise<string[]> {
    const [{ end: until } = { end: 0 }] = await log.ends(topic);
    const batches = await batchesOf(log, topic, 0, { ...LIMITS, until });
    return batches.flatMap(({ records }) => records.map(textOf));
  }

  for (const [what, batchBytes] of [
    ["in one batch", 900_000],
    ["in a batch a record", 1],
  ] as const) {
    test(`a producer killed at any moment, each append ${what}, skips nothing and repeats one append at most`, async (t) => {
      const log = await open(t);
      const topic = await freshTopic(log);
      const name = `cursor-${randomUUID()}`;
      const program = join(import.meta.dirname, "cursor-program.js");
      const end = 300;
      const args = [broker.address, topic, name, String(end), String(batchBytes)];
      // Each round is killed after so many noted cursors, and a little later: within the next append.
      const rounds = [
        [1, 0],
        [3, 1],
        [8, 3],
        [5, 6],
        [6, 2],
        [7, 4],
      ] as const;
      for (const [noted, laterMs] of rounds) {
        const child = new LineProcess(t, program, args);
        for (let i = 0; i < noted; i++) await child.hear();
        await sleep(laterMs);
        await child.kill();
      }
      const last = new LineProcess(t, program, args);
      while ((await last.hear()) !== null);
      assert.equal(await log.cursor(name), String(end));
      const found = (await everything(log, topic)).map(Number);
      const firsts = [...new Set(found)];
      assert.deepEqual(firsts, [...Array(end).keys()], "each is there, in order");
      const repeated = found.length - firsts.length;
      assert.ok(repeated <= 3 * rounds.length, `${repeated} of ${end} were appended twice`);
    });
  }

  test("a cursor that moves between partitions and without records is found again", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 3);
    const name = `cursor-${randomUUID()}`;
    for (let i = 0; i < 150; i++) {
      const records = i % 7 === 6 ? [] : [text(String(i))];
      await log.append(topic, i % 3, records, { name, value: String(i) });
      if (i % 40 === 0 || i > 140) assert.equal(await (await open(t)).cursor(name), String(i));
    }
  });

  test("a broker killed under a producer costs neither a record nor adds one", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log);
    const name = `cursor-${randomUUID()}`;
    let appended = 0;
    const producing = (async () => {
      while (appended < 240) {
        const numbers = [0, 1, 2, 3].map((i) => text(String(appended + i)));
        const first = await log.append(topic, 0, numbers, { name, value: String(appended + 4) });
        assert.ok(first >= appended, `the offset ${first} cannot be that of record ${appended}`);
        appended += 4;
      }
    })();
    for (const at of [20, 60, 100, 140, 180, 220]) {
      while (appended < at) await sleep(5);
      await broker.restart();
    }
    await producing;
    assert.equal(await log.cursor(name), "240");
    assert.deepEqual(
      await everything(log, topic),
      Array.from({ length: 240 }, (_, i) => String(i)),
    );
  });

  test("records larger together than a batch are one append all the same", async (t) => {
    const log = await open(t, { maxBatchBytes: 10_000 });
    const topic = await freshTopic(log);
    const records = Array.from({ length: 30 }, (_, i) => ({ ...text(""), value: Buffer.alloc(3_000, i) }));
    const first = await log.append(topic, 0, records, { name: `cursor-${randomUUID()}`, value: "x" });
    const found = (await batchesOf(log, topic, first, { ...LIMITS, until: first + 30 })).flatMap((b) => b.records);
    assert.deepEqual(
      found.map(({ value }) => value?.[0]),
      records.map((_, i) => i),
    );
  });

  test("of several cursors each is its own; without its topic there is none", async (t) => {
    const log = await open(t, { cursorTopic: `cursors-${randomUUID()}` });
    assert.equal(await log.cursor("a"), null);
    const topic = await freshTopic(log);
    await log.append(topic, 0, [text("a")], { name: "a", value: "1" });
    await log.append(topic, 0, [text("b")], { name: "b", value: "2" });
    assert.deepEqual([await log.cursor("a"), await log.cursor("b"), await log.cursor("c")], ["1", "2", null]);
    const [batch] = await batchesOf(log, topic, 0, { ...LIMITS, until: 2 });
    assert.deepEqual(batch!.records[0]!.headers, {}, "nothing of it is in the record");
  });

  test("what a transaction undid is not read, what is still open is waited for", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log);
    const kafka = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING });
    const producer = kafka.producer({ transactionalId: `tx-${randomUUID()}`, maxInFlightRequests: 1 });
    await producer.connect();
    t.after(() => producer.disconnect());
    const send = async (value: string, end: "commit" | "abort"): Promise<void> => {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ partition: 0, value }] });
      await transaction[end]();
    };
    await send("a", "commit");
    await send("never", "abort");
    await send("b", "commit");
    await send("never", "abort");
    await sleep(200);
    assert.deepEqual(await everything(log, topic), ["a", "b"]);
    const [{ end } = { end: 0 }] = await log.ends(topic);
    // Also from within: the last offsets hold an undone record and the mark of its end.
    for (let from = 0; from <= end; from++) {
      const batches = await batchesOf(log, topic, from, { ...LIMITS, until: end });
      assert.ok(batches.every((batch) => batch.end <= end));
    }
    const open_ = await producer.transaction();
    await open_.send({ topic, messages: [{ partition: 0, value: "c" }] });
    assert.equal((await log.ends(topic))[0]!.end, end);
    await open_.commit();
    await sleep(200);
    assert.deepEqual(await everything(log, topic), ["a", "b", "c"]);
    assert.deepEqual(
      (
        await log.fetch(
          topic,
          0,
          Array.from({ length: end + 2 }, (_, i) => i),
        )
      ).map(textOf),
      ["a", "b", "c"],
    );
  });
});
