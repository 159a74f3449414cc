import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { openKafkaLog, type KafkaLog, type KafkaLogOptions } from "../../../../connectors/log/kafka/kafka-log.js";
import { CURSOR_HEADER, markBatches, type CursorMark } from "../../../../connectors/log/kafka/cursor-records.js";
import { startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import type { LogRecord } from "../../../../schemas/image-record.js";
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
    test(`a producer killed at any moment, each append ${what}, goes on without repeating or skipping`, async (t) => {
      const log = await open(t);
      const topic = await freshTopic(log);
      const name = `cursor-${randomUUID()}`;
      const program = join(import.meta.dirname, "cursor-program.js");
      const end = 300;
      const args = [broker.address, topic, name, String(end), String(batchBytes)];
      // Each round is killed after so many stored cursors, and a little later: within the next append.
      for (const [stored, laterMs] of [
        [1, 0],
        [3, 1],
        [8, 3],
        [5, 6],
        [6, 2],
        [7, 4],
      ] as const) {
        const child = new LineProcess(t, program, args);
        for (let i = 0; i < stored; i++) await child.hear();
        await sleep(laterMs);
        await child.kill();
      }
      const last = new LineProcess(t, program, args);
      while ((await last.hear()) !== null);
      assert.equal(await log.cursor(name), String(end));
      assert.deepEqual(
        await everything(log, topic),
        Array.from({ length: end }, (_, i) => String(i)),
      );
    });
  }

  test("an append that was cut off is completed, in whatever pieces it comes again", async (t) => {
    const log = await open(t);
    const numbers = (from: number, to: number): LogRecord[] =>
      Array.from({ length: to - from }, (_, i) => text(String(from + i)));
    const cuts: readonly (readonly [left: number, pieces: readonly number[]])[] = [
      [5, [12]],
      [5, [3, 7, 12]],
      [5, [5, 12]],
      [12, [4, 12]],
      [1, [1, 2, 3, 12]],
    ];
    for (const [left, pieces] of cuts) {
      const topic = await freshTopic(log);
      const name = `cursor-${randomUUID()}`;
      await log.append(topic, 0, numbers(0, 2), { name, value: "2" });
      // What a producer leaves that dies within its second append, of records 2 to 20: its first batches, as it marks them.
      const parts = markBatches(
        numbers(2, 2 + left).map((one) => [one]),
        { name, owner: "dead", append: 2, value: "" },
      );
      for (const [record] of parts) {
        const { name, owner, append, records } = JSON.parse(record!.headers[CURSOR_HEADER]!) as CursorMark;
        const unfinished = { name, owner, append, records };
        await log.append(topic, 0, [{ ...record!, headers: { [CURSOR_HEADER]: JSON.stringify(unfinished) } }]);
      }
      // Through a process that knows nothing, and one more after each piece.
      let from = 2;
      for (const to of pieces.map((piece) => 2 + piece)) {
        const next = await open(t);
        assert.equal(await next.cursor(name), String(from));
        const first = await next.append(topic, 0, numbers(from, to), { name, value: String(to) });
        assert.equal(first, from, "records are where they would be without the cut");
        from = to;
        await next.close();
      }
      assert.deepEqual(
        await everything(log, topic),
        numbers(0, 14).map((one) => Buffer.from(one.value!).toString()),
      );
      assert.equal(await (await open(t)).cursor(name), "14");
    }
  });

  test("a source that gives other records than before the cut is appended as it is", async (t) => {
    const log = await open(t, { maxBatchBytes: 1 });
    const topic = await freshTopic(log);
    const name = `cursor-${randomUUID()}`;
    const [part] = markBatches([[text("a")], [text("b")]], { name, owner: "dead", append: 1, value: "2" });
    await log.append(topic, 0, [text("x")], { name: `other-${name}`, value: "1" });
    const first = await open(t);
    await first.append(topic, 0, [], { name, value: "0" });
    await log.append(topic, 0, part!);
    const next = await open(t);
    assert.equal(await next.cursor(name), "0");
    await next.append(topic, 0, [text("c"), text("d")], { name, value: "2" });
    assert.deepEqual(await everything(log, topic), ["x", "a", "c", "d"]);
    assert.equal(await (await open(t)).cursor(name), "2");
  });

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

  test("of two producers with one cursor, the older is told", async (t) => {
    const [older, newer] = [await open(t), await open(t)];
    const topic = await freshTopic(older);
    const name = `cursor-${randomUUID()}`;
    await older.append(topic, 0, [text("a")], { name, value: "1" });
    assert.equal(await newer.cursor(name), "1");
    await newer.append(topic, 0, [text("b")], { name, value: "2" });
    // The older one believes to be at 1: appending what comes after that would repeat.
    await sleep(300);
    await assert.rejects(older.append(topic, 0, [text("b")], { name, value: "2" }), (error) => {
      assert.ok(isSluiceError(error, "E_LOG_IO"));
      assert.equal(error.retryable, false);
      assert.match(error.message, /another has taken it/);
      return true;
    });
    // Until it looks at the cursor again.
    await assert.rejects(older.append(topic, 0, [text("b")], { name, value: "2" }), (error) => isSluiceError(error));
    assert.deepEqual(await everything(newer, topic), ["a", "b"]);
    assert.equal(await older.cursor(name), "2");
    await older.append(topic, 0, [text("c")], { name, value: "3" });
    assert.deepEqual(await everything(newer, topic), ["a", "b", "c"]);
  });

  test("reading a cursor leaves its producer alone, and another's open transaction hides nothing", async (t) => {
    const [producer, onlooker] = [await open(t), await open(t)];
    const topic = await freshTopic(producer);
    const name = `cursor-${randomUUID()}`;
    await producer.append(topic, 0, [text("a")], { name, value: "1" });
    const kafka = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING });
    const other = kafka.producer({ transactionalId: `other-${randomUUID()}`, maxInFlightRequests: 1 });
    await other.connect();
    t.after(() => other.disconnect());
    const transaction = await other.transaction();
    await transaction.send({ topic, messages: [{ partition: 0, value: "open" }] });
    await producer.append(topic, 0, [text("b")], { name, value: "2" });
    assert.equal(await onlooker.cursor(name), "2");
    await sleep(300);
    await producer.append(topic, 0, [text("c")], { name, value: "3" });
    assert.equal(await onlooker.cursor(name), "3");
    await transaction.abort();
    await sleep(200);
    assert.deepEqual(await everything(onlooker, topic), ["a", "b", "c"]);
  });

  test("the header that stores a cursor is no part of the record", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log);
    const record = { ...text("a"), headers: { own: "header" } };
    await log.append(topic, 0, [record], { name: `cursor-${randomUUID()}`, value: "1" });
    const [batch] = await batchesOf(log, topic, 0, { ...LIMITS, until: 1 });
    assert.deepEqual(batch!.records[0]!.headers, { own: "header" });
    assert.deepEqual((await log.fetch(topic, 0, [0]))[0]!.headers, { own: "header" });
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
