import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { Assignment, Log, LogBatch, ReadOptions } from "../../connectors/log/log.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../schemas/image-record.js";

export interface LogUnderTest {
  readonly name: string;
  /** Why it cannot run here, or false */
  readonly skip?: string | false;
  /** Opens the log; called again after `close`, it opens the same one. Its topics are the suite's, of unique names. */
  readonly open: () => Promise<Log>;
  readonly afterwards?: () => Promise<void>;
  /** How many random batches the round-trip property draws. Default 50. */
  readonly runs?: number;
}

const LIMITS = { maxRecords: 100, maxBytes: 1_000_000 };

/** What every log keeps. */
export function logConformance({ name, skip = false, open, afterwards, runs = 50 }: LogUnderTest): void {
  describe(`log ${name}`, { skip }, () => {
    let log: Log;
    before(async () => {
      log = await open();
    });
    after(async () => {
      await log.close();
      await afterwards?.();
    });

    async function freshTopic(partitions: number): Promise<string> {
      const topic = `topic-${randomUUID()}`;
      await log.ensureTopic(topic, partitions);
      return topic;
    }

    test("a new topic is empty, and making it again changes nothing", async () => {
      const topic = await freshTopic(3);
      await log.append(topic, 1, [text("a")]);
      await log.ensureTopic(topic, 3);
      const ends = await log.ends(topic);
      assert.equal(ends.length, 3);
      assert.deepEqual(
        ends.map(({ start, end }) => end - start),
        [0, 1, 0],
      );
    });

    test("a topic is the same one as long as it is not made anew, and no other", async () => {
      const topic = await freshTopic(1);
      const identity = await log.identity(topic);
      assert.ok(identity.id !== null && identity.id.length > 8);
      await log.append(topic, 0, [text("a")]);
      await log.ensureTopic(topic, 1);
      assert.deepEqual(await log.identity(topic), identity);
      await log.close();
      log = await open();
      assert.deepEqual(await log.identity(topic), identity);
      assert.notEqual((await log.identity(await freshTopic(1))).id, identity.id);
      await rejects("E_LOG_IO", log.identity(`absent-${randomUUID()}`));
    });

    test("a topic with fewer partitions than asked for, and one that is not there, are refused", async () => {
      const topic = await freshTopic(2);
      await rejects("E_LOG_IO", log.ensureTopic(topic, 3));
      await rejects("E_LOG_IO", log.ends(`absent-${randomUUID()}`));
      await rejects("E_LOG_IO", log.append(`absent-${randomUUID()}`, 0, [text("a")]));
      await rejects("E_LOG_IO", log.append(topic, 2, [text("a")]));
    });

    test("an offset is found by the time at which its record came into the log", async () => {
      const topic = await freshTopic(3);
      // Long ago and far ahead by their own time: it is the log's that counts.
      const first = await log.append(topic, 0, [{ ...text("a"), timestampMs: 4e12 }, text("b")]);
      await log.append(topic, 1, [text("c")]);
      await sleep(5);
      const between = Date.now();
      await sleep(5);
      const second = await log.append(topic, 0, [{ ...text("d"), timestampMs: 1 }, text("e")]);
      const ends = await log.ends(topic);
      assert.deepEqual(await log.offsetsAt(topic, 0), [first, ends[1]!.start, ends[2]!.start]);
      assert.deepEqual(await log.offsetsAt(topic, between), [second, ends[1]!.end, ends[2]!.end]);
      assert.deepEqual(
        await log.offsetsAt(topic, between + 3_600_000),
        ends.map(({ end }) => end),
      );
      await rejects("E_LOG_IO", log.offsetsAt(`absent-${randomUUID()}`, 0));
    });

    test("what is appended is read back, byte for byte and in order, whatever it is", async () => {
      const bytes = fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 300 }));
      const record: fc.Arbitrary<LogRecord> = fc.record({
        key: bytes,
        value: bytes,
        headers: fc.dictionary(fc.string({ minLength: 1, unit: "grapheme" }), fc.string({ unit: "grapheme" }), {
          maxKeys: 4,
        }),
        timestampMs: fc.integer({ min: 0, max: 4e12 }),
      });
      const topic = await freshTopic(1);
      await fc.assert(
        fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), async (records) => {
          const first = await log.append(topic, 0, records);
          const read = await collect(log, topic, first, records.length);
          assert.deepEqual(read.map(plain), records.map(plain));
          assert.equal(read[0]!.offset, first);
          assertAscending(read.map(({ offset }) => offset));
        }),
        { numRuns: runs },
      );
    });

    test("appends made at once are each whole, in the order of the offsets they got", async () => {
      const topic = await freshTopic(1);
      const firsts = await Promise.all(
        Array.from({ length: 20 }, (_, i) => log.append(topic, 0, [text(`${i}/0`), text(`${i}/1`), text(`${i}/2`)])),
      );
      const read = await collect(log, topic, 0, 60);
      firsts.forEach((first, i) => {
        const at = read.findIndex(({ offset }) => offset === first);
        assert.deepEqual(read.slice(at, at + 3).map(textOf), [`${i}/0`, `${i}/1`, `${i}/2`]);
      });
    });

    test("partitions are apart", async () => {
      const topic = await freshTopic(2);
      await log.append(topic, 0, [text("a"), text("b")]);
      await log.append(topic, 1, [text("c")]);
      assert.deepEqual((await collect(log, topic, 0, 2, 0)).map(textOf), ["a", "b"]);
      assert.deepEqual((await collect(log, topic, 0, 1, 1)).map(textOf), ["c"]);
    });

    test("batches keep to both limits, and hold one record at least", async () => {
      const topic = await freshTopic(1);
      const sizes = [10, 2_000, 10, 10, 10, 50_000, 10];
      await log.append(
        topic,
        0,
        sizes.map((size) => ({ ...text(""), value: Buffer.alloc(size, 7) })),
      );
      const batches = await batchesOf(log, topic, 0, { maxRecords: 3, maxBytes: 1_000, until: sizes.length });
      assert.deepEqual(
        batches.flatMap(({ records }) => records.map(({ value }) => value?.length)),
        sizes,
      );
      for (const { records, end, logEnd } of batches) {
        assert.ok(records.length >= 1 && records.length <= 3);
        const bytes = records.reduce((sum, { value }) => sum + value!.length, 0);
        assert.ok(records.length === 1 || bytes <= 1_000, `${records.length} records of ${bytes} bytes`);
        assert.ok(end > records.at(-1)!.offset);
        assert.equal(logEnd, sizes.length);
      }
    });

    test("reading starts at the offset asked for and ends at `until`", async () => {
      const topic = await freshTopic(1);
      await log.append(topic, 0, ["a", "b", "c", "d", "e"].map(text));
      const middle = await batchesOf(log, topic, 1, { ...LIMITS, until: 4 });
      assert.deepEqual(
        middle.flatMap(({ records }) => records.map(textOf)),
        ["b", "c", "d"],
      );
      assert.deepEqual(await batchesOf(log, topic, 4, { ...LIMITS, until: 4 }), []);
      assert.deepEqual(await batchesOf(log, topic, 4, { ...LIMITS, until: 2 }), []);
    });

    test("a reader at the end waits for what is appended, until a promised end is reached", async () => {
      const topic = await freshTopic(1);
      const until = deferred<number>();
      const seen: string[] = [];
      const done = withPartition(log, topic, 0, async (assignment) => {
        for await (const { records } of assignment.read(0, { ...LIMITS, until: until.promise })) {
          seen.push(...records.map(textOf));
          if (seen.length === 2) await log.append(topic, 0, [text("c")]);
          // Nothing more will come: only the promise can end the wait.
          if (seen.length === 3) until.resolve(3);
        }
      });
      await log.append(topic, 0, [text("a"), text("b")]);
      await done;
      assert.deepEqual(seen, ["a", "b", "c"]);
    });

    test("a promised end that fails ends the reading with its error", async () => {
      const topic = await freshTopic(1);
      const until = deferred<number>();
      const reading = batchesOf(log, topic, 0, { ...LIMITS, until: until.promise });
      until.reject(new RangeError("no end in sight"));
      await assert.rejects(reading, new RangeError("no end in sight"));
    });

    test("a waiting reader ends when the signal aborts", async () => {
      const topic = await freshTopic(1);
      const stop = new AbortController();
      let ended = false;
      await log.consume(
        topic,
        `group-${randomUUID()}`,
        async (assignment) => {
          setTimeout(() => {
            stop.abort();
          }, 20);
          for await (const batch of assignment.read(0, LIMITS)) assert.fail(`found ${batch.records.length} records`);
          ended = assignment.signal.aborted;
        },
        stop.signal,
      );
      assert.equal(ended, true);
    });

    test("reading past the end is refused", async () => {
      const topic = await freshTopic(1);
      await log.append(topic, 0, [text("a")]);
      assert.deepEqual(await batchesOf(log, topic, 1, { ...LIMITS, until: 1 }), []);
      await rejects("E_LOG_RANGE", batchesOf(log, topic, 2, LIMITS));
    });

    test("commits are kept by group and partition", async () => {
      const topic = await freshTopic(2);
      await log.append(topic, 1, ["a", "b", "c"].map(text));
      const [one, other] = [`group-${randomUUID()}`, `group-${randomUUID()}`];
      await forEachPartition(log, topic, one, async (assignment) => {
        assert.equal(await assignment.committed(), null);
        if (assignment.partition === 1) {
          await assignment.commit(1);
          await assignment.commit(3);
          assert.equal(await assignment.committed(), 3);
        }
      });
      const found = new Map<string, number | null>();
      for (const group of [one, other]) {
        await forEachPartition(log, topic, group, async (assignment) => {
          found.set(`${group}/${assignment.partition}`, await assignment.committed());
        });
      }
      const expected = new Map(
        [one, other].flatMap((group) => [0, 1].map((partition) => [`${group}/${partition}`, null as number | null])),
      );
      assert.deepEqual(found, expected.set(`${one}/1`, 3));
    });

    test("a cursor is what its last append said", async () => {
      const topic = await freshTopic(1);
      const name = `cursor-${randomUUID()}`;
      assert.equal(await log.cursor(name), null);
      await log.append(topic, 0, [text("a")], { name, value: "after a" });
      await log.append(topic, 0, [text("b")]);
      assert.equal(await log.cursor(name), "after a");
      await log.append(topic, 0, [text("c")], { name, value: "nach ç" });
      assert.equal(await log.cursor(name), "nach ç");
    });

    test("records are fetched by offset, absent ones left out", async () => {
      const topic = await freshTopic(1);
      const first = await log.append(topic, 0, ["a", "b", "c", "d"].map(text));
      const found = await log.fetch(topic, 0, [first + 1, first + 3, first + 100]);
      assert.deepEqual(found.map(textOf), ["b", "d"]);
      assert.deepEqual(
        found.map(({ offset }) => offset),
        [first + 1, first + 3],
      );
      assert.deepEqual(await log.fetch(topic, 0, []), []);
    });

    test("every partition gets its task, and a task that throws ends the others", async () => {
      const topic = await freshTopic(3);
      const started = new Set<number>();
      const ended = new Set<number>();
      const all = deferred<undefined>();
      const consuming = log.consume(
        topic,
        `group-${randomUUID()}`,
        async (assignment) => {
          const { partition } = assignment;
          started.add(partition);
          if (started.size === 3) all.resolve(undefined);
          if (partition === 1) {
            await all.promise;
            throw new RangeError("this one fails");
          }
          for await (const batch of assignment.read(0, LIMITS)) assert.fail(`found ${batch.records.length} records`);
          ended.add(partition);
        },
        new AbortController().signal,
      );
      await assert.rejects(consuming, new RangeError("this one fails"));
      assert.deepEqual([...started].sort(), [0, 1, 2]);
      assert.deepEqual([...ended].sort(), [0, 2]);
    });

    test("two members of a group never hold a partition at once, and together they read everything", async () => {
      const topic = await freshTopic(2);
      const group = `group-${randomUUID()}`;
      for (const partition of [0, 1])
        await log.append(
          topic,
          partition,
          Array.from({ length: 50 }, (_, i) => text(`${partition}/${i}`)),
        );
      const held = new Set<number>();
      const seen: string[] = [];
      const stop = new AbortController();
      const member = (): Promise<void> =>
        log.consume(
          topic,
          group,
          async (assignment) => {
            const { partition } = assignment;
            assert.ok(!held.has(partition), `partition ${partition} is held twice`);
            held.add(partition);
            for await (const { records, end } of assignment.read((await assignment.committed()) ?? 0, {
              maxRecords: 7,
              maxBytes: 1e6,
            })) {
              seen.push(...records.map(textOf));
              await assignment.commit(end);
              if (new Set(seen).size === 100) stop.abort();
            }
            held.delete(partition);
          },
          stop.signal,
        );
      await Promise.all([member(), member()]);
      assert.equal(new Set(seen).size, 100);
      assert.equal(seen.length, 100, "a record was read twice though nobody failed");
    });

    test("all of it is there after closing and opening again", async () => {
      const topic = await freshTopic(1);
      const [name, group] = [`cursor-${randomUUID()}`, `group-${randomUUID()}`];
      await log.append(topic, 0, ["a", "b"].map(text), { name, value: "2" });
      await forEachPartition(log, topic, group, (assignment) => assignment.commit(1));
      await log.close();
      log = await open();
      assert.deepEqual((await collect(log, topic, 0, 2)).map(textOf), ["a", "b"]);
      assert.equal(await log.cursor(name), "2");
      await forEachPartition(log, topic, group, async (assignment) => {
        assert.equal(await assignment.committed(), 1);
      });
      assert.equal((await log.append(topic, 0, [text("c")])) >= 2, true);
    });
  });
}

export function text(value: string): LogRecord {
  return { key: null, value: Buffer.from(value), headers: {}, timestampMs: 1_700_000_000_000 };
}

export function textOf({ value }: StoredRecord): string {
  return Buffer.from(value ?? "").toString();
}

/** The batches that a member of its own group reads from one partition. */
export async function batchesOf(
  log: Log,
  topic: string,
  offset: number,
  options: ReadOptions,
  partition = 0,
): Promise<LogBatch[]> {
  const batches: LogBatch[] = [];
  await withPartition(log, topic, partition, async (assignment) => {
    for await (const batch of assignment.read(offset, options)) batches.push(batch);
  });
  return batches;
}

/** The first `count` records from `offset` on. */
export async function collect(
  log: Log,
  topic: string,
  offset: number,
  count: number,
  partition = 0,
): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  await withPartition(log, topic, partition, async (assignment) => {
    for await (const batch of assignment.read(offset, LIMITS)) {
      records.push(...batch.records);
      if (records.length >= count) return;
    }
  });
  return records;
}

async function withPartition(
  log: Log,
  topic: string,
  partition: number,
  task: (assignment: Assignment) => Promise<void>,
): Promise<void> {
  await forEachPartition(log, topic, `group-${randomUUID()}`, async (assignment) => {
    if (assignment.partition === partition) await task(assignment);
  });
}

async function forEachPartition(
  log: Log,
  topic: string,
  group: string,
  task: (assignment: Assignment) => Promise<void>,
): Promise<void> {
  await log.consume(topic, group, task, new AbortController().signal);
}

function plain({ key, value, headers, timestampMs }: LogRecord): unknown {
  return { key: key && [...key], value: value && [...value], headers: Object.entries(headers).sort(), timestampMs };
}

function assertAscending(offsets: readonly number[]): void {
  offsets.forEach((offset, i) => {
    assert.ok(i === 0 || offset > offsets[i - 1]!, `offsets ${offsets.join(", ")} do not ascend`);
  });
}

async function rejects(code: Parameters<typeof isSluiceError>[1], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isSluiceError(error, code));
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // It may be rejected before a reader that still joins its group looks at it.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
