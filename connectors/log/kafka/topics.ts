import kafkajs from "kafkajs";
import { counted } from "../../../schemas/counted.js";
import { isSluiceError, SluiceError } from "../../../schemas/errors.js";
import { isUnknownTopic } from "./errors.js";
import type { KafkaClient } from "./client.js";
import type { PartitionEnds } from "../log.js";

/** Kafka's settings of a topic, by their names ("retention.bytes", "max.message.bytes", …) */
export type TopicSettings = Readonly<Record<string, string>>;

/**
 * Other producers may use Kafka's timestamp for their event times. Kafka by default refuses times more than an hour ahead,
 * and forgets what is older than a week: a photograph of last year would go as soon as it came. Topics made here take any
 * time and keep everything; bound them by `retention.bytes`, or by the time of arrival with `retention.ms` where every
 * producer is Sluice or `message.timestamp.type` is LogAppendTime.
 */
const DEFAULTS: TopicSettings = {
  "message.timestamp.after.max.ms": "9223372036854775807",
  "retention.ms": "-1",
};

/** null where there is no such topic. Throws E_LOG_ACCESS where this client may not know. */
async function partitionsOf(client: KafkaClient, topic: string): Promise<number | null> {
  const needs = { operation: "Describe", resource: "topic", name: topic } as const;
  try {
    const { topics } = await client.administer(
      `find topic "${topic}"`,
      (admin) => admin.fetchTopicMetadata({ topics: [topic] }),
      { needs },
    );
    return topics[0]?.partitions.length ?? null;
  } catch (error) {
    if (isSluiceError(error, "E_LOG_IO") && isUnknownTopic(error)) return null;
    throw error;
  }
}

/** Creates the topic where it is absent. Throws E_LOG_IO where it has fewer partitions. */
export async function ensureTopic(
  client: KafkaClient,
  topic: string,
  partitions: number,
  { replicationFactor, settings }: { replicationFactor: number; settings: TopicSettings },
): Promise<void> {
  // Clients that may not create topics are not to need it where there is nothing to create.
  let found = await partitionsOf(client, topic);
  if (found === null) {
    const configEntries = Object.entries({ ...DEFAULTS, ...settings }).map(([name, value]) => ({ name, value }));
    client.expect(topic);
    const created = await client.administer(
      `create topic "${topic}"`,
      (admin) =>
        admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor, configEntries }] }),
      { topic, needs: { operation: "Create", resource: "topic", name: topic } },
    );
    if (created) return;
    found = (await topicEnds(client, topic)).length;
  }
  if (found >= partitions) return;
  throw new SluiceError(
    "E_LOG_IO",
    `Expected topic "${topic}" in ${client.place} to have at least ${counted(partitions, "partition")}, found ${found}. Add partitions (\`kafka-topics --alter --partitions ${partitions}\`), or set the number back.`,
    { topic, partitions, found },
  );
}

/** Throws E_LOG_IO where there is no such topic. `end` is where committed records end: an open transaction is beyond it. */
export async function topicEnds(client: KafkaClient, topic: string): Promise<readonly PartitionEnds[]> {
  const offsets = await client.administer(`find topic "${topic}"`, (admin) => admin.fetchTopicOffsets(topic), {
    topic,
    needs: { operation: "Describe", resource: "topic", name: topic },
  });
  return [...offsets]
    .sort((a, b) => a.partition - b.partition)
    .map(({ low, high }) => ({ start: Number(low), end: Number(high) }));
}

/**
 * Of each partition, the first offset whose Kafka timestamp (of what Sluice appends: when it did) is at or after
 * `timestampMs`; the end where there is none.
 */
export async function offsetsAt(client: KafkaClient, topic: string, timestampMs: number): Promise<readonly number[]> {
  const offsets = await client.administer(
    `find topic "${topic}"`,
    (admin) => admin.fetchTopicOffsetsByTimestamp(topic, timestampMs),
    { topic, needs: { operation: "Describe", resource: "topic", name: topic } },
  );
  return [...offsets].sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}

export interface TopicDescription {
  readonly partitions: number;
  readonly settings: TopicSettings;
}

/** A topic as it is, with those of its settings that are named in `settings`; null where there is none. Throws E_LOG_ACCESS, E_LOG_IO. */
export async function describeTopic(
  client: KafkaClient,
  topic: string,
  settings: readonly string[],
): Promise<TopicDescription | null> {
  const partitions = await partitionsOf(client, topic);
  if (partitions === null) return null;
  if (settings.length === 0) return { partitions, settings: {} };
  const { resources } = await client.administer(
    `read the settings of topic "${topic}"`,
    (admin) =>
      admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: [...settings] }],
      }),
    { needs: { operation: "DescribeConfigs", resource: "topic", name: topic } },
  );
  const entries = resources.flatMap(({ configEntries }) => configEntries);
  return { partitions, settings: Object.fromEntries(entries.map((e) => [e.configName, e.configValue])) };
}
