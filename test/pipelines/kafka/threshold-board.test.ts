import assert from "node:assert/strict";
import { test } from "node:test";
import { ThresholdBoard } from "../../../pipelines/kafka/threshold-board.js";
import { publishThresholds } from "../../../pipelines/kafka/publish-thresholds.js";
import { parametersDigest } from "../../../operators/select/numbered-selection.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { testCard } from "../../fixtures/archive.js";

const card = testCard(5);
const teacher = teacherDigest(card);
const stream = "images";
/** Panes of 10 ms */
const dataset = datasetSchema.parse({
  name: "d",
  select: { k: 2, p: 2 },
  window: { kind: "tumbling", sizeMs: 10 },
});
const parameters = parametersDigest(dataset, teacher, stream, card);
const SHARDS = 2;

function site(of = dataset) {
  const records: StoredRecord[] = [];
  const warnings: string[] = [];
  let start = 0;
  let nowMs = 0;
  const append = (record: LogRecord): void => {
    records.push({ ...record, offset: records.length });
  };
  const board = new ThresholdBoard({
    log: {
      ends: () => Promise.resolve([{ start, end: records.length }]),
      read: async function* (_topic, _partition, offset, { until }) {
        const end = (await until)!;
        yield { records: records.slice(offset, end), end, logEnd: end };
      },
    },
    topic: "thresholds",
    teacher,
    stream,
    card,
    datasets: [of],
    shards: SHARDS,
    onWarning: (message) => warnings.push(message),
    nowMs: () => nowMs,
  });
  const publish = (
    index: number,
    options: { records: number; scored?: number; shards?: number; closed?: readonly number[] },
  ) =>
    publishThresholds(
      {
        dataset: of,
        parameters: parametersDigest(of, teacher, stream, card),
        at: [{ partition: 0, origin: 0, end: options.records }],
        records: options.records,
        scored: options.scored ?? options.records,
        panes: new Map([
          [0, { keys: Float64Array.of(-1, -2, -3, -4, -5), counts: Int32Array.of(1, 2, 3, 4, 5) }],
          [7, { keys: Float64Array.of(-6, -7, -8, -9, -10), counts: Int32Array.of(9, 9, 9, 9, 9) }],
        ]),
        closed: options.closed ?? [],
      },
      {
        log: {
          append: (_topic, _partition, told) => {
            told.forEach(append);
            return Promise.resolve(0);
          },
        },
        topic: "thresholds",
        teacher,
        shard: { index, count: options.shards ?? SHARDS },
        nowMs: () => 0,
      },
    );
  const refresh = async (): Promise<void> => {
    nowMs += 1000;
    await board.refresh();
  };
  return { board, publish, refresh, append, warnings, remake: () => ((start = 0), records.splice(0)) };
}

test("each shard's keys stand at its own classes; what no shard has said keeps everything", async () => {
  const { board, publish, refresh } = site();
  await refresh();
  assert.equal(board.of(parameters, 0), null);
  assert.equal(board.keepers()[0]!.thresholdsFor(5), null);
  await publish(1, { records: 40 });
  await refresh();
  assert.deepEqual([...board.of(parameters, 0)!.keys], [-Infinity, -2, -Infinity, -4, -Infinity]);
  assert.deepEqual(board.of(parameters, 0)!.at, [null, [{ partition: 0, origin: 0, end: 40 }]]);
  await publish(0, { records: 30 });
  await refresh();
  assert.deepEqual([...board.of(parameters, 7)!.keys], [-6, -7, -8, -9, -10]);
  assert.deepEqual([...board.countsOf(dataset, { startMs: 0, endMs: 10 })], [1, 2, 3, 4, 5]);
  const [keeper] = board.keepers();
  assert.equal(keeper!.thresholdsAt, 40);
  // An image of pane 7, and one of a pane that nobody has told of
  assert.deepEqual([...keeper!.thresholdsFor(75)!], [-6, -7, -8, -9, -10]);
  assert.equal(keeper!.thresholdsFor(1_000), null);
});

test("a pane that has closed needs everything again, once all shards have said so", async () => {
  const { board, publish, refresh } = site();
  for (const shard of [0, 1]) await publish(shard, { records: 40 });
  await publish(0, { records: 50, closed: [0] });
  await refresh();
  assert.deepEqual([...board.of(parameters, 0)!.keys], [-Infinity, -2, -Infinity, -4, -Infinity]);
  await publish(1, { records: 50, closed: [0] });
  await refresh();
  assert.equal(board.of(parameters, 0), null);
  assert.notEqual(board.of(parameters, 7), null);
});

test("what is not for this number of shards or these parameters, or cannot be read, leaves the rest as it is", async () => {
  const { board, publish, refresh, append, warnings } = site();
  await publish(0, { records: 40 });
  await publish(0, { records: 99, shards: 3 });
  append({ key: Buffer.from("k"), value: Buffer.from("none"), headers: { "sluice-schema": "1" }, timestampMs: 0 });
  append({ key: Buffer.from("no place"), value: null, headers: {}, timestampMs: 0 });
  await refresh();
  assert.equal(board.keepers()[0]!.thresholdsAt, 40);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /thresholds\/0\/4.*It is passed over/);
});

test("a topic that was made anew is read from its start, and what it had said holds no more", async () => {
  const { board, publish, refresh, remake } = site();
  for (const shard of [0, 1]) await publish(shard, { records: 40 });
  await refresh();
  remake();
  await publish(1, { records: 10 });
  await refresh();
  assert.deepEqual([...board.of(parameters, 0)!.keys], [-Infinity, -2, -Infinity, -4, -Infinity]);
});

test("K by share follows the images scored, as in a state: copies and refused records make no class wanting", async () => {
  const select = { ...dataset.select, k: { share: 0.5, most: 100 } };
  const { board, publish, refresh } = site({ ...dataset, select, window: { kind: "global" } });
  // 400 records in, 40 of them scored: K = 0.5 x 40 / 5 = 4.
  for (const shard of [0, 1]) await publish(shard, { records: 400, scored: 40 });
  await refresh();
  assert.deepEqual(board.fill(), { kept: 5 * 4, fill: { full: 5, starving: 0, classes: 5 } });
});
