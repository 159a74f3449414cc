import assert from "node:assert/strict";
import { test } from "node:test";
import { retentionDeviations } from "../../../pipelines/kafka/topic-retention.js";
import { declaredTopics, deviations, type DeclaredTopic } from "../../../pipelines/kafka/topics.js";
import { configSchema } from "../../../schemas/config.js";

const config = configSchema.parse({ partitions: 4, kafka: { brokers: "a:1", shards: 3, topics: { labels: "said" } } });
const topics = new Map(declaredTopics(config, config.kafka!).map((topic) => [topic.role, topic]));

function asWanted(topic: DeclaredTopic) {
  return { partitions: topic.partitions, settings: topic.settings };
}

function messages(
  role: DeclaredTopic["role"],
  settings: Readonly<Record<string, string>>,
  partitions?: number,
): string[] {
  const topic = topics.get(role)!;
  const wanted = asWanted(topic);
  const found = { partitions: partitions ?? wanted.partitions, settings: { ...wanted.settings, ...settings } };
  return deviations(topic, found).map(({ state, message }) => `${state}: ${message}`);
}

test("topics as they are declared have nothing to mend; names and partitions come from the configuration", () => {
  for (const topic of topics.values()) assert.deepEqual(deviations(topic, asWanted(topic)), []);
  assert.deepEqual(
    [...topics.values()].map(({ name, partitions }) => [name, partitions]),
    [
      ["images", 4],
      ["sluice-images-candidates", 3],
      ["sluice-images-thresholds", 1],
      ["said", 1],
      ["sluice-images-versions", 1],
      ["sluice-images-quarantine", 1],
      ["sluice-images-store", 1],
      ["sluice-images-cursors", 1],
    ],
  );
});

test("each deviation is one message that says what to do", () => {
  const missing = deviations(topics.get("labels")!, null);
  assert.equal(missing.length, 1);
  assert.match(missing[0]!.message, /expected a topic for labels, found none.*`sluice topics create`/);

  const one = (found: readonly string[]): string => {
    assert.equal(found.length, 1);
    return found[0]!;
  };
  assert.match(
    one(messages("images", {}, 2)),
    /^fail: .*at least 4 partitions, found 2.*--partitions 4.*`partitions: 2`/,
  );
  assert.match(one(messages("candidates", {}, 2)), /^fail: .*at least 3 partitions, found 2.*`kafka.shards: 2`/);
  assert.match(
    one(messages("thresholds", { "cleanup.policy": "delete" })),
    /^fail: .*cleanup.policy=compact, found delete.*kafka-configs .*cleanup.policy=compact/,
  );
  assert.match(one(messages("thresholds", { "cleanup.policy": "compact,delete" })), /^fail: .*found compact,delete/);
  assert.match(
    one(messages("labels", { "cleanup.policy": "compact" })),
    /^fail: .*cleanup.policy=delete, found compact/,
  );
  assert.match(
    one(messages("labels", { "retention.ms": "604800000" })),
    /^fail: .*retention.ms=-1, found 604800000 \(7.0 days\).*nowhere else/,
  );
  for (const role of ["labels", "store"] as const)
    assert.match(
      one(messages(role, { "retention.bytes": "1000000" })),
      /^fail: .*retention.bytes=-1, found 1000000.*nowhere else.*retention.bytes=-1/,
    );
  for (const role of ["images", "candidates", "versions", "quarantine"] as const)
    assert.deepEqual(messages(role, { "retention.bytes": "1000000" }), []);
  assert.match(
    one(messages("images", { "retention.ms": "3600000" })),
    /^warn: .*1.0 hours.*`kafka.imagesRetentionMs: 3600000`/,
  );
  assert.match(
    one(messages("images", { "max.message.bytes": "1048588" })),
    /^fail: .*at least 4194304, found 1048588.*max.message.bytes=4194304.*`kafka.maxMessageBytes: 1048588`/,
  );
});

test("the advice to set kafka.maxMessageBytes to what the topics take can be followed, and then nothing is left to mend", () => {
  for (const maxMessageBytes of [131_072, 1_048_588]) {
    const kafka = { brokers: "a:1", maxMessageBytes };
    const followed = configSchema.parse({ partitions: 4, kafka });
    for (const topic of declaredTopics(followed, followed.kafka!)) {
      const settings = { ...topic.settings, "max.message.bytes": String(maxMessageBytes) };
      assert.deepEqual(deviations(topic, { partitions: topic.partitions, settings }), []);
    }
  }
  // Less than any batch takes cannot be set, and is not advised.
  assert.throws(() => configSchema.parse({ kafka: { brokers: "a:1", maxMessageBytes: 100_000 } }));
  assert.doesNotMatch(messages("images", { "max.message.bytes": "100000" })[0]!, /kafka\.maxMessageBytes/);
});

test("more than is wanted is no deviation", () => {
  assert.deepEqual(messages("images", { "max.message.bytes": "99999999" }, 12), []);
  assert.deepEqual(messages("candidates", { "retention.ms": "-1" }), []);
  // A compacted topic keeps a key's newest record whatever its retention.
  assert.deepEqual(messages("thresholds", { "retention.ms": "1" }), []);
});

test("records that retention takes before they are scored are told: lost, about to be, and on the way there", () => {
  const state = { topic: "images", partition: 1, retentionMs: 86_400_000, start: 0, scoredTo: 50 };
  const states = (more: object): string[] =>
    retentionDeviations({ ...state, removable: 0, halfway: 0, retentionBytes: -1, waitingBytes: 0, ...more }).map(
      ({ state: how, message }) => `${how} ${message}`,
    );
  assert.deepEqual(states({}), []);
  assert.deepEqual(states({ removable: 50, halfway: 50 }), []);
  assert.match(
    states({ start: 70, removable: 70, halfway: 70 }).join(),
    /^fail images\/1: .*back to 50.*starts at 70.*removed 20 offsets/,
  );
  assert.match(
    states({ removable: 58, halfway: 90 }).join(),
    /^fail images\/1: .*found 8 offsets not yet scored.*1.0 days/,
  );
  assert.match(states({ halfway: 53 }).join(), /^warn images\/1: 3 offsets waiting/);
  // Nothing was scored yet: what lies before the log's start is nobody's loss.
  assert.match(states({ scoredTo: null, start: 70, removable: 75 }).join(), /^fail .*found 5 offsets/);
  // By the topic's size: before anything is lost, and when it goes.
  const bytes = { retentionBytes: 10_000_000 };
  assert.deepEqual(states({ ...bytes, waitingBytes: 5_000_000 }), []);
  assert.match(
    states({ ...bytes, waitingBytes: 6_000_000 }).join(),
    /^warn images\/1: about 6.00 MB wait to be scored, more than half of what the topic keeps.*retention.bytes \(now 10 MB/,
  );
  assert.match(states({ ...bytes, waitingBytes: 11_000_000 }).join(), /^fail images\/1: about 11 MB wait.*any moment/);
});
