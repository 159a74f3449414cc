import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { TopicDownstream } from "../../../pipelines/kafka/topic-downstream.js";
import type { TopicLog } from "../../../pipelines/kafka/topic-log.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import type { ChainName } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { decodeCandidates } from "../../../schemas/wire/candidates.js";
import { decodeQuarantined } from "../../../schemas/wire/quarantined.js";
import { testCard, testSegment, type TestRecord } from "../../fixtures/archive.js";
import { givenAt } from "../../conformance/downstream.js";
import { memoryLog } from "../../fixtures/broker-log.js";
import { MemoryBroker } from "../../fixtures/memory-broker.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const SHARDS = 2;
const topics = { candidates: "candidates", thresholds: "thresholds", quarantine: "quarantine" };
const card = testCard(5);
const teacher = teacherDigest(card);
const chain: ChainName = { teacher, stream: "images", partition: 0, origin: 10 };
const dataset = datasetSchema.parse({ name: "d", select: { k: 8, p: 2 } });

/** Three segments, [10, 13), [13, 15) and [15, 16); offset 14 was refused. */
const RECORDS: readonly TestRecord[][] = [
  [1, 2, 3].map((image) => ({ image, logits: [5, 4, 1, 1, image] })),
  [{ image: 4, logits: [0, 9, 8, 0, 0] }, { refused: "broken" }],
  [{ image: 5, logits: [1, 0, 0, 7, 3] }],
];

async function archive() {
  const log = memoryLog(new MemoryBroker(Date.now));
  await log.ensureTopic(topics.candidates, SHARDS);
  await log.ensureTopic(topics.thresholds, 1);
  await log.ensureTopic(topics.quarantine, 1);
  const store = openMemoryStore();
  let start = chain.origin;
  for (const records of RECORDS) {
    await writeSegment(store, chain, testSegment(chain, start, records, 5));
    start += records.length;
  }
  const downstream = new TopicDownstream({
    datasets: [dataset],
    teacher,
    stream: chain.stream,
    card,
    shards: SHARDS,
    log,
    store,
    topics,
    onWarning: (message) => assert.fail(message),
    nowMs: () => 7,
  });
  return { log, downstream };
}

async function told(log: TopicLog, shard: number) {
  const { end } = (await log.ends(topics.candidates))[shard]!;
  const offsets = Array.from({ length: end }, (_, at) => at);
  const records = await log.fetch(topics.candidates, shard, offsets);
  return records.map((record) => decodeCandidates(record, { topic: topics.candidates, partition: shard }));
}

for (const [committed, starts] of [
  [null, [10, 13, 15]],
  // Set by hand to before the chain, and into the middle of a segment
  [3, [10, 13, 15]],
  [12, [10, 13, 15]],
  [13, [13, 15]],
  [14, [13, 15]],
  [15, [15]],
  [16, []],
  // Past the archive's end
  [99, []],
] as const) {
  test(`committed ${committed}: after a takeover the segments from ${starts.join(", ") || "nowhere"} are told again`, async () => {
    const { log, downstream } = await archive();
    const commits: number[] = [];
    await downstream.catchUp(chain, 16, givenAt(committed, commits));
    for (let shard = 0; shard < SHARDS; shard++) {
      assert.deepEqual(
        (await told(log, shard)).map(({ start }) => start),
        starts,
      );
    }
    assert.deepEqual(
      commits,
      starts.map((start) => ({ 10: 13, 13: 15, 15: 16 })[start]),
    );
  });
}

test("a segment gives each shard its classes of the P best, also none, and its refusals to the quarantine", async () => {
  const { log, downstream } = await archive();
  await downstream.catchUp(chain, 16, givenAt(13, []));
  const rows = (await Promise.all([0, 1].map((shard) => told(log, shard)))).map((messages) =>
    messages.map(({ datasets }) =>
      datasets[0]!.parts.flatMap(({ batch }) => [...batch.classes].map((of, i) => `${of} of ${batch.offset[i]!}`)),
    ),
  );
  // Offset 13: classes 1 and 2. Offset 15: classes 3 and 4.
  assert.deepEqual(rows, [
    [["2 of 13"], ["4 of 15"]],
    [["1 of 13"], ["3 of 15"]],
  ]);
  const place = { topic: topics.quarantine, partition: 0 };
  const [refused, ...others] = (await log.fetch(place.topic, 0, [0, 1])).map((one) => decodeQuarantined(one, place));
  assert.equal(others.length, 0);
  assert.equal(refused?.offset, 14);
});

test("a partition that is taken away again is left to the next member", async () => {
  const { log, downstream } = await archive();
  const commits: number[] = [];
  await downstream.catchUp(chain, 16, givenAt(null, commits, AbortSignal.abort()));
  assert.deepEqual(commits, []);
  assert.deepEqual(await told(log, 0), []);
});
