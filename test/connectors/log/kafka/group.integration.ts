import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import v8 from "node:v8";
import vm from "node:vm";
import { after, before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import { openKafkaLog, type KafkaLog, type KafkaLogOptions } from "../../../../connectors/log/kafka/kafka-log.js";
import type { Assignment } from "../../../../connectors/log/log.js";
import { kafkaTool, startKafka, type LocalKafka } from "../../../../deploy/local/kafka.js";
import { freePort } from "../../../../deploy/local/server-process.js";
import { isSluiceError, type ErrorCode } from "../../../../schemas/errors.js";
import { batchesOf, text, textOf } from "../../../conformance/log.js";
import { cannotStart } from "../../../deploy/local/require-service.js";
import { LineProcess } from "../../../fixtures/line-process.js";

const LIMITS = { maxRecords: 100, maxBytes: 1_000_000 };
v8.setFlagsFromString("--expose-gc");
const gc = vm.runInNewContext("gc") as () => void;
const USER = { username: "ada", password: "correct-horse" };

describe("groups and failures, on kafka", { skip: await cannotStart("kafka") }, () => {
  let broker: LocalKafka;
  before(async () => {
    broker = await startKafka({ user: USER });
  });
  after(() => broker.stop());

  async function open(t: TestContext, options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
    const group = { sessionMs: 6_000, heartbeatMs: 300 };
    const log = await openKafkaLog({ brokers: [broker.address], group, ...options });
    t.after(() => log.close());
    return log;
  }

  async function freshTopic(log: KafkaLog, partitions: number): Promise<string> {
    const topic = `topic-${randomUUID()}`;
    await log.ensureTopic(topic, partitions);
    return topic;
  }

  async function fill(log: KafkaLog, topic: string, partition: number, count: number, from = 0): Promise<void> {
    const records = Array.from({ length: count }, (_, i) => text(`${partition}:${from + i}`));
    await log.append(topic, partition, records);
  }

  function numbered(partitions: number, count: number): string[] {
    return Array.from({ length: partitions * count }, (_, i) => `${Math.floor(i / count)}:${i % count}`);
  }

  test("members that come and go never overlap, and read everything once", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 4);
    const group = `group-${randomUUID()}`;
    for (let partition = 0; partition < 4; partition++) await fill(log, topic, partition, 300);
    const held = new Map<number, string>();
    const seen: string[] = [];
    const task =
      (member: string) =>
      async (assignment: Assignment): Promise<void> => {
        const { partition } = assignment;
        assert.equal(
          held.get(partition),
          undefined,
          `${partition} given to ${member}, held by ${held.get(partition) ?? ""}`,
        );
        held.set(partition, member);
        try {
          const from = (await assignment.committed()) ?? 0;
          for await (const { records, end } of assignment.read(from, { maxRecords: 10, maxBytes: 1e6 })) {
            await sleep(15);
            seen.push(...records.map(textOf));
            await assignment.commit(end);
          }
        } finally {
          held.delete(partition);
        }
      };
    const member = async (name: string, stop: AbortController): Promise<void> => {
      await (await open(t)).consume(topic, group, task(name), stop.signal);
    };
    const stops = [0, 1, 2, 3].map(() => new AbortController());
    const members = [member("a", stops[0]!)];
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) await sleep(10);
    };
    await until(100);
    members.push(member("b", stops[1]!));
    await until(300);
    members.push(member("c", stops[2]!));
    await until(500);
    stops[0]!.abort();
    await members[0];
    await until(700);
    members.push(member("d", stops[3]!));
    await until(900);
    stops[1]!.abort();
    await until(1_200);
    for (const stop of stops) stop.abort();
    await Promise.all(members);
    assert.deepEqual(seen.sort(), numbered(4, 300).sort());
    assert.deepEqual([...held], []);
  });

  test("of members killed with -9 others take the partitions; nothing is skipped", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 2);
    const group = `group-${randomUUID()}`;
    const program = join(import.meta.dirname, "member-program.js");
    const seen = new Map<string, number>();
    const start = (): LineProcess => {
      const member = new LineProcess(t, program, [broker.address, topic, group]);
      void (async () => {
        for (let line = await member.hear(); line !== null; line = await member.hear()) {
          const [, value] = line.split(" ");
          if (line.includes("/")) seen.set(value!, (seen.get(value!) ?? 0) + 1);
        }
      })();
      return member;
    };
    let members = [start(), start()];
    for (let round = 0; round < 3; round++) {
      for (const partition of [0, 1]) await fill(log, topic, partition, 200, round * 200);
      while (seen.size < round * 400 + 60) await sleep(5);
      await members[round % 2]!.kill();
      members = members.map((member, i) => (i === round % 2 ? start() : member));
    }
    while (seen.size < 1_200) await sleep(20);
    assert.deepEqual([...seen.keys()].sort(), numbered(2, 600).sort());
    const repeated = [...seen.values()].filter((times) => times > 1).length;
    // Of each partition that a killed member held, the batch of five that was not committed yet.
    assert.ok(repeated <= 3 * 2 * 5, `${repeated} records were read twice`);
    for (const member of members) member.child.kill("SIGTERM");
    for (const partition of [0, 1]) {
      while ((await log.committed(group, topic, partition)) !== 600) await sleep(20);
    }
  });

  test("a broker killed while members read and producers append costs nothing", async (t) => {
    const [writer, reader] = [await open(t), await open(t)];
    const topic = await freshTopic(writer, 2);
    const count = 400;
    const offsets: number[][] = [[], []];
    const writing = Promise.all(
      [0, 1].map(async (partition) => {
        for (let i = 0; i < count; i += 4) {
          const records = [0, 1, 2, 3].map((j) => text(`${partition}:${i + j}`));
          offsets[partition]!.push(await writer.append(topic, partition, records));
        }
      }),
    );
    const seen = new Map<string, number>();
    const stop = new AbortController();
    const reading = reader.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        const from = (await assignment.committed()) ?? 0;
        for await (const { records, end } of assignment.read(from, LIMITS)) {
          for (const record of records) {
            const key = `${assignment.partition}/${record.offset} ${textOf(record)}`;
            seen.set(key, (seen.get(key) ?? 0) + 1);
          }
          await assignment.commit(end);
          if (seen.size === 2 * count) stop.abort();
        }
      },
      stop.signal,
    );
    for (const at of [100, 350, 600]) {
      while (seen.size < at) await sleep(5);
      await broker.restart();
    }
    await Promise.all([writing, reading]);
    const values = [...seen.keys()].map((key) => key.split(" ")[1]!);
    assert.deepEqual(values.sort(), numbered(2, count).sort());
    for (const partition of [0, 1]) {
      // Each append is where it was said to be, and there once.
      assert.deepEqual(
        offsets[partition],
        Array.from({ length: count / 4 }, (_, i) => i * 4),
      );
    }
  });

  test("a broker that hangs is waited for", async (t) => {
    const log = await open(t, { requestTimeoutMs: 2_000 });
    const topic = await freshTopic(log, 1);
    await fill(log, topic, 0, 10);
    await broker.kill("SIGSTOP");
    const appending = log.append(topic, 0, [text("after")]);
    const ends = log.ends(topic);
    await sleep(5_000);
    await broker.kill("SIGCONT");
    assert.equal(await appending, 10);
    assert.ok((await ends)[0]!.end >= 10);
    const read = await batchesOf(log, topic, 0, { ...LIMITS, until: 11 });
    assert.equal(read.flatMap(({ records }) => records).length, 11);
  });

  test("a task that works for longer than a session keeps its partition", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 1);
    await fill(log, topic, 0, 10);
    let starts = 0;
    await log.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        starts++;
        for await (const { end } of assignment.read(0, { ...LIMITS, until: 10 })) {
          await sleep(8_000);
          assert.equal(assignment.signal.aborted, false);
          await assignment.commit(end);
        }
      },
      new AbortController().signal,
    );
    assert.equal(starts, 1);
  });

  test("a slow reader is not given more than it asked for", async (t) => {
    const log = await open(t, { fetchBytes: 1024 * 1024 });
    const topic = await freshTopic(log, 1);
    const records = Array.from({ length: 20 }, (_, i) => ({ ...text(""), value: Buffer.alloc(200_000, i) }));
    for (let i = 0; i < 20; i++) await log.append(topic, 0, records);
    await log.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        gc();
        const before = process.memoryUsage().arrayBuffers;
        let most = 0;
        let count = 0;
        for await (const { records } of assignment.read(0, { maxRecords: 5, maxBytes: 1e9, until: 400 })) {
          count += records.length;
          await sleep(20);
          gc();
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        }
        assert.equal(count, 400);
        // Of 80 MB in the log: two fetches of 1 MiB, and what the socket holds.
        assert.ok(most < 8e6, `held ${most} bytes`);
      },
      new AbortController().signal,
    );
  });

  test("partitions that are added get their tasks", async (t) => {
    const log = await open(t, { metadataMaxAgeMs: 500 });
    const topic = await freshTopic(log, 1);
    const stop = new AbortController();
    const started: number[] = [];
    const consuming = log.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        started.push(assignment.partition);
        if (new Set(started).size === 3) stop.abort();
        for await (const batch of assignment.read(0, LIMITS)) assert.fail(`found ${batch.records.length} records`);
      },
      stop.signal,
    );
    while (started.length === 0) await sleep(20);
    const at = ["--bootstrap-server", broker.address];
    await kafkaTool("org.apache.kafka.tools.TopicCommand", [...at, "--alter", "--topic", topic, "--partitions", "3"]);
    await consuming;
    assert.deepEqual([...new Set(started)].sort(), [0, 1, 2]);
    const described = await log.describeTopic(topic, ["cleanup.policy", "retention.ms"]);
    assert.deepEqual(described, { partitions: 3, settings: { "cleanup.policy": "delete", "retention.ms": "-1" } });
    assert.equal(await log.describeTopic(`no-${topic}`, []), null);
  });

  test("records that retention took are a hole, before a reading and in it", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 1);
    await fill(log, topic, 0, 50);
    const admin = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    t.after(() => admin.disconnect());
    await admin.fetchTopicOffsets(topic);
    const forget = (offset: number): Promise<void> =>
      admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
    await forget(10);
    assert.deepEqual(await log.ends(topic), [{ start: 10, end: 50 }]);
    const [first] = await batchesOf(log, topic, 3, { ...LIMITS, until: 50 });
    assert.equal(first!.records[0]!.offset, 10);
    assert.deepEqual((await log.fetch(topic, 0, [9, 10, 49, 50])).map(textOf), ["0:10", "0:49"]);
    // While a reader waits at the end, more comes and goes before it looks again.
    const small = await open(t, { fetchBytes: 1 });
    const offsets: number[] = [];
    await small.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        for await (const { records } of assignment.read(10, { ...LIMITS, until: 110 })) {
          offsets.push(...records.map(({ offset }) => offset));
          if (offsets.length === 40) {
            await fill(log, topic, 0, 30, 50);
            await fill(log, topic, 0, 30, 80);
            await forget(80);
          }
        }
      },
      new AbortController().signal,
    );
    assert.deepEqual(
      offsets.slice(0, 40),
      Array.from({ length: 40 }, (_, i) => 10 + i),
    );
    assert.deepEqual(
      offsets.slice(-30),
      Array.from({ length: 30 }, (_, i) => 80 + i),
    );
  });

  test("a topic deleted and made anew is told from one that goes on", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 1);
    await fill(log, topic, 0, 20);
    const admin = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    t.after(() => admin.disconnect());
    const reading = log.consume(
      topic,
      `group-${randomUUID()}`,
      async (assignment) => {
        for await (const { end } of assignment.read(0, LIMITS)) {
          if (end < 20) continue;
          await admin.deleteTopics({ topics: [topic] });
          await sleep(500);
          await log.ensureTopic(topic, 1);
          await fill(log, topic, 0, 3);
        }
      },
      new AbortController().signal,
    );
    await assert.rejects(reading, (error) => isSluiceError(error, "E_LOG_RECREATED"));
    await assert.rejects(batchesOf(log, topic, 20, LIMITS), (error) => isSluiceError(error, "E_LOG_RANGE"));
  });

  test("Kafka's own tools see the group, its commits and its lag", async (t) => {
    const log = await open(t, { clientId: "sluice-lag-test" });
    const topic = await freshTopic(log, 2);
    const group = `group-${randomUUID()}`;
    for (const partition of [0, 1]) await fill(log, topic, partition, 30);
    const stop = new AbortController();
    let committed = 0;
    const consuming = log.consume(
      topic,
      group,
      async (assignment) => {
        await assignment.commit(assignment.partition === 0 ? 30 : 12);
        committed++;
        for await (const { end } of assignment.read(30, LIMITS)) assert.fail(`read up to ${end}`);
      },
      stop.signal,
    );
    while (committed < 2) await sleep(20);
    const args = ["--bootstrap-server", broker.address, "--describe", "--group", group];
    const said = await kafkaTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", args);
    const rows = said.split("\n").filter((line) => line.startsWith(group));
    const columns = rows.map((row) => row.split(/\s+/)).sort((a, b) => Number(a[2]) - Number(b[2]));
    assert.deepEqual(
      columns.map(([, at, partition, current, end, lag]) => [at, partition, current, end, lag]),
      [
        [topic, "0", "30", "30", "0"],
        [topic, "1", "12", "30", "18"],
      ],
    );
    assert.ok(columns.every((row) => row[8] === "sluice-lag-test"));
    assert.deepEqual(await log.groupLags(topic, group), [{ group, lag: 18 }]);
    assert.deepEqual(await log.groupLags(await freshTopic(log, 1), group), [], "it has committed nothing there");
    stop.abort();
    await consuming;
    assert.deepEqual(await log.groupLags(topic, group), [], "it has no members any more");
  });

  test("offsets are found by the time of the append, or by another producer's times", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 2);
    await fill(log, topic, 0, 3);
    const between = Date.now() + 1;
    await sleep(5);
    await fill(log, topic, 0, 3);
    assert.deepEqual(await log.offsetsAt(topic, between), [3, 0]);
    assert.deepEqual(await log.offsetsAt(topic, Date.now() + 1e6), [6, 0]);
    const kafka = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING });
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    t.after(() => producer.disconnect());
    const messages = [1_000, 2_000, 3_000].map((time) => ({ partition: 1, value: "x", timestamp: String(time) }));
    await producer.send({ topic, messages });
    assert.deepEqual(await log.offsetsAt(topic, 1_500), [0, 1]);
  });

  test("records of long ago are not doubled by a broker's restart", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 1);
    for (let round = 0; round < 4; round++) {
      const appending = Promise.all(
        Array.from({ length: 40 }, (_, i) => log.append(topic, 0, [{ ...text(`${round}/${i}`), timestampMs: 0 }])),
      );
      await sleep(5 + round * 3);
      await broker.restart();
      await appending;
    }
    const [{ end } = { end: 0 }] = await log.ends(topic);
    const read = await batchesOf(log, topic, 0, { ...LIMITS, until: end });
    const values = read.flatMap(({ records }) => records);
    assert.equal(new Set(values.map(textOf)).size, 160);
    assert.equal(values.length, 160);
    assert.ok(values.every(({ timestampMs }) => timestampMs === 0));
  });

  test("what is wrong is said in one message", async (t) => {
    const log = await open(t);
    const topic = await freshTopic(log, 1);
    const at = broker.loginAddress!;
    const login = (password: string) => ({
      brokers: [at],
      sasl: { mechanism: "plain" as const, username: USER.username, password },
    });
    const absent = `absent-${randomUUID()}`;
    const now = new AbortController().signal;
    const cases: [string, () => Promise<unknown>, ErrorCode, RegExp][] = [
      [
        "nobody there",
        async () => openKafkaLog({ brokers: [`127.0.0.1:${await freePort()}`], openPatienceMs: 500 }),
        "E_LOG_IO",
        /reach a broker in kafka:\/\/127\.0\.0\.1:\d+.*ECONNREFUSED.*Tried \d+ times/,
      ],
      ["a wrong password", () => openKafkaLog(login("wrong")), "E_LOG_ACCESS", /Check user, password/],
      [
        "no such topic",
        () => log.consume(absent, "group", async () => undefined, now),
        "E_LOG_IO",
        /sluice topics create/,
      ],
      ["no such partition", () => log.append(topic, 7, [text("a")]), "E_LOG_IO", /partition 7/],
      ["too few partitions", () => log.ensureTopic(topic, 2), "E_LOG_IO", /at least 2 partitions, found 1/],
      ["a bad topic name", () => log.ensureTopic("a b", 1), "E_LOG_IO", /a-zA-Z0-9/],
      [
        "a record too large",
        () => log.append(topic, 0, [{ ...text(""), value: Buffer.alloc(3_000_000) }]),
        "E_LOG_IO",
        /max\.message\.bytes/,
      ],
    ];
    for (const [what, call, code, message] of cases) {
      await assert.rejects(call, (error) => {
        assert.ok(isSluiceError(error), `${what}: ${String(error)}`);
        assert.equal(error.code, code, `${what}: ${error.message}`);
        assert.match(error.message, message);
        return true;
      });
    }
    const admitted = await openKafkaLog(login(USER.password));
    await admitted.append(topic, 0, [text("let in")]);
    await admitted.close();
    await assert.rejects(
      admitted.append(topic, 0, [text("a")]),
      (error) => isSluiceError(error, "E_LOG_IO") && /closed/.test(error.message),
    );
    // A refused record leaves the next ones alone.
    await log.append(topic, 0, [text("goes on")]);
    const read = await batchesOf(log, topic, 0, { ...LIMITS, until: 2 });
    assert.deepEqual(
      read.flatMap(({ records }) => records.map(textOf)),
      ["let in", "goes on"],
    );
  });
});
