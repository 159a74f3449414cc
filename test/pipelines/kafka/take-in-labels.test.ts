import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { archivedLabels, labelFrontier } from "../../../operators/archive/image-labels.js";
import { sayOnTopic, takeIn, takeInAll, takenIn, type LabelTopic } from "../../../pipelines/kafka/take-in-labels.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import type { LogRecord } from "../../../schemas/image-record.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { refusedRecords } from "../../../pipelines/kafka/refused-records.js";
import { encodeLabel } from "../../../schemas/wire/labels.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const topics = { labels: "said", events: "told", quarantine: "refused" };
const BROKEN: LogRecord = { key: null, value: Buffer.from("?"), headers: { "sluice-schema": "1" }, timestampMs: 1 };

/** When the first was said, ms */
const SAID_MS = 1_700_000_000_000;

function labelOf(number: number): ImageLabel {
  return { sha256: String(number).padStart(64, "0"), verdict: "none", timeMs: SAID_MS + number, by: null };
}

function topicOn(log: LabelTopic["log"], onWarning: (message: string) => void = () => undefined): LabelTopic {
  return { log, store: openMemoryStore(), stream: "images", topics, onWarning, nowMs: () => 7 };
}

async function times({ store, stream }: LabelTopic): Promise<number[]> {
  const found: number[] = [];
  for await (const { timeMs } of archivedLabels(store, stream, await labelFrontier(store, stream)))
    found.push(timeMs - SAID_MS);
  return found;
}

test("several at once, with portions of any size, archive each label once, in the topic's order, and pass poison over", async (t) => {
  const log = await openEmbeddedLog(join(await temporaryFolder(t), "log"), { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("said", 1);
  await log.ensureTopic("refused", 1);
  const COUNT = 40;
  const isBroken = (at: number): boolean => at % 7 === 3;
  const records = Array.from({ length: COUNT }, (_, at) => (isBroken(at) ? BROKEN : encodeLabel(labelOf(at))));
  await log.append("said", 0, records);
  const expected = records.flatMap((_, at) => (isBroken(at) ? [] : [at]));
  const portions = fc.array(fc.integer({ min: 1, max: COUNT }), { minLength: 1, maxLength: 6 });
  const takers = fc.array(portions, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(takers, async (all) => {
      const topic = topicOn(log);
      const take = async (sizes: readonly number[]): Promise<void> => {
        let at = await takenIn(topic, 0);
        for (const size of sizes) {
          const end = Math.min(COUNT, at + size);
          const offsets = Array.from({ length: end - at }, (_, index) => at + index);
          at = await takeIn(topic, 0, await log.fetch("said", 0, offsets), at, end);
        }
      };
      await Promise.all(all.map(take));
      await takeInAll(topic);
      assert.deepEqual(await times(topic), expected);
      // The topic's first partition is the label log's second one.
      assert.deepEqual(await labelFrontier(topic.store, "images"), [{ partition: 1, end: COUNT }]);
    }),
    { numRuns: 30 },
  );
  const { end } = (await log.ends("refused"))[0]!;
  const told = await log.fetch(
    "refused",
    0,
    Array.from({ length: end }, (_, at) => at),
  );
  const offsets = new Set(told.map((record) => decodeQuarantined(record, { topic: "refused", partition: 0 }).offset));
  assert.deepEqual(
    [...offsets].sort((a, b) => a - b),
    [3, 10, 17, 24, 31, 38],
  );
});

test("what is said through the topic is archived when it returns, an image's in one partition; a topic that ends before is refused", async (t) => {
  const log = await openEmbeddedLog(join(await temporaryFolder(t), "log"), { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("said", 3);
  const topic = topicOn(log);
  await sayOnTopic(topic, [labelOf(1), labelOf(2), labelOf(3), labelOf(4)]);
  await sayOnTopic(topic, [{ ...labelOf(2), timeMs: SAID_MS + 20 }]);
  const found = await times(topic);
  assert.deepEqual(
    found.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 20],
  );
  assert.ok(found.indexOf(20) > found.indexOf(2));

  const other = await openEmbeddedLog(join(await temporaryFolder(t), "log"), { exclusive: true, command: "test" });
  t.after(() => other.close());
  await other.ensureTopic("said", 3);
  await assert.rejects(takeInAll({ ...topic, log: other }), (error) => isSluiceError(error, "E_LOG_RECREATED"));
});

test("labels that the topic lost before they were taken in are told, and what follows is taken in", async (t) => {
  const log = await openEmbeddedLog(join(await temporaryFolder(t), "log"), { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("said", 1);
  await log.append(
    "said",
    0,
    [labelOf(0), labelOf(1), labelOf(2)].map((label) => encodeLabel(label)),
  );
  await log.truncate("said", 0, { before: 2 });
  const warnings: string[] = [];
  const topic = topicOn(log, (message) => warnings.push(message));
  await takeInAll(topic);
  assert.deepEqual(await times(topic), [2]);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /said\/0 to go on at offset 0, found that it starts at 2: what it had below, 2 records, was removed/,
  );
});

test("a class that no teacher has is refused as `sluice label` refuses it, in one line, and listed; before any teacher has scored nobody can tell", async (t) => {
  const log = await openEmbeddedLog(join(await temporaryFolder(t), "log"), { exclusive: true, command: "test" });
  t.after(() => log.close());
  await log.ensureTopic("said", 1);
  await log.ensureTopic("refused", 1);
  const warnings: string[] = [];
  const topic = topicOn(log, (message) => warnings.push(message));
  const is = (number: number, name: string): ImageLabel => ({ ...labelOf(number), verdict: "is", class: name });
  await log.append("said", 0, [encodeLabel(is(0, "early"))]);
  await takeInAll(topic);
  const { card } = await writeSmallTeacher(join(await temporaryFolder(t), "teacher"), "onnx");
  await saveCard(topic.store, card);
  await log.append("said", 0, [
    encodeLabel(is(1, "class-3")),
    encodeLabel(is(2, "clas-3")),
    encodeLabel(is(3, "another"), true),
    { ...BROKEN, value: Buffer.from(JSON.stringify({ verdict: "is", class: "class-1", timeMs: "soon" })) },
    encodeLabel({ ...labelOf(5), timeMs: SAID_MS / 1000 }),
    encodeLabel({ ...labelOf(6), timeMs: SAID_MS * 1000 }),
    { ...BROKEN, value: null },
    { ...BROKEN, value: Buffer.from(JSON.stringify({ ...labelOf(8), by: "é" }), "latin1") },
    { ...BROKEN, value: Buffer.from(JSON.stringify({ ...labelOf(9), colour: "red" })) },
    { ...BROKEN, value: Buffer.from(JSON.stringify({ ...labelOf(10), sha256: "AB".repeat(32) })) },
  ]);
  await takeInAll(topic);
  assert.deepEqual(await times(topic), [0, 1, 3, 10]);
  const { labels: refused } = await refusedRecords(log, topics);
  assert.deepEqual(
    refused.map(({ offset, code }) => `${offset} ${code}`),
    ["2 E_SELECTION", ...[4, 5, 6, 7, 8, 9].map((at) => `${at} E_RECORD_SCHEMA`)],
  );
  assert.match(refused[2]!.reason, /said\/0\/5, found 1700000000, .*looks like seconds .*: write 1700000000000/);
  assert.match(refused[3]!.reason, /looks like microseconds/);
  assert.match(refused[5]!.reason, /utf-8/);
  assert.match(refused[0]!.reason, /"clas-3".*class-3/);
  assert.match(refused[1]!.reason, /said\/0\/4.*sha256: .*; timeMs: /);
  for (const { reason } of refused) assert.ok(!reason.includes("\n"), reason);
});
