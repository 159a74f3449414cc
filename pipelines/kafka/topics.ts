import { CURSOR_TOPIC_SETTINGS } from "../../connectors/log/kafka/cursor.js";
import type { TopicDescription, TopicSettings } from "../../connectors/log/kafka/topics.js";
import { counted } from "../../schemas/counted.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { LEAST_MESSAGE_BYTES, type KafkaConfig } from "../../schemas/kafka-config.js";
import type { TopicLog } from "./topic-log.js";

/** A topic as Sluice wants it. */
export interface DeclaredTopic {
  readonly role: "images" | keyof KafkaConfig["topics"];
  readonly name: string;
  readonly partitions: number;
  /** Compacted: only a key's newest record is kept, and that for ever */
  readonly compacted: boolean;
  /** ms; -1: for ever */
  readonly retentionMs: number;
  /** null: Kafka's own limit does */
  readonly maxMessageBytes: number | null;
  /** Whether what retention removes is nowhere else */
  readonly onlyCopy: boolean;
  readonly settings: TopicSettings;
}

/** One way in which a topic is not as wanted, and what to do. */
export interface Deviation {
  readonly topic: string;
  /** `warn`: works as it is, and one should know */
  readonly state: "warn" | "fail";
  readonly message: string;
}

const DAY_MS = 24 * 3600 * 1000;

/** Every topic of a configuration. */
export function declaredTopics(config: Config, kafka: KafkaConfig): DeclaredTopic[] {
  const { topics, shards, maxMessageBytes } = kafka;
  const declare = (
    role: DeclaredTopic["role"],
    name: string,
    { partitions = 1, compacted = false, retentionMs = -1, large = false, onlyCopy = false },
    settings: TopicSettings = {},
  ): DeclaredTopic => ({
    role,
    name,
    partitions,
    compacted,
    retentionMs,
    maxMessageBytes: large ? maxMessageBytes : null,
    onlyCopy,
    settings: {
      "cleanup.policy": compacted ? "compact" : "delete",
      "retention.ms": String(retentionMs),
      ...(large ? { "max.message.bytes": String(maxMessageBytes) } : {}),
      ...settings,
    },
  });
  return [
    declare("images", config.stream, {
      partitions: config.partitions,
      retentionMs: kafka.imagesRetentionMs,
      large: true,
      onlyCopy: true,
    }),
    // The archive has them all: a worker that comes late reads it.
    declare("candidates", topics.candidates, { partitions: shards, retentionMs: 7 * DAY_MS, large: true }),
    declare("thresholds", topics.thresholds, { compacted: true, large: true }),
    declare("labels", topics.labels, { onlyCopy: true }),
    declare("versions", topics.versions, {}),
    declare("quarantine", topics.quarantine, { retentionMs: 30 * DAY_MS }),
    // Its first record stands: one that is compacted or removed would let another store take the stream over.
    declare("store", topics.store, { onlyCopy: true }),
    declare("cursors", topics.cursors, { compacted: true }, CURSOR_TOPIC_SETTINGS),
  ];
}

const CHECKED_SETTINGS = ["cleanup.policy", "retention.ms", "retention.bytes", "max.message.bytes"];

/** Creates what is absent; returns the names of those topics. Those that are there are left as they are. */
export async function createTopics(log: TopicLog, topics: readonly DeclaredTopic[]): Promise<string[]> {
  const created: string[] = [];
  for (const { name, partitions, settings } of topics) {
    if ((await log.describeTopic(name, [])) !== null) continue;
    await log.ensureTopic(name, partitions, settings);
    created.push(name);
  }
  return created;
}

/** How the topics of a cluster differ from what is declared. */
export async function checkTopics(log: TopicLog, topics: readonly DeclaredTopic[]): Promise<Deviation[]> {
  const found: Deviation[] = [];
  for (const topic of topics) {
    try {
      found.push(...deviations(topic, await log.describeTopic(topic.name, CHECKED_SETTINGS)));
    } catch (error) {
      if (!isSluiceError(error, "E_LOG_ACCESS")) throw error;
      found.push({ topic: topic.name, state: "fail", message: error.message });
    }
  }
  return found;
}

/** Throws E_LOG_IO where a topic of one of these roles is missing or would not do. */
export async function assertTopics(
  log: TopicLog,
  config: Config,
  kafka: KafkaConfig,
  roles: readonly DeclaredTopic["role"][],
): Promise<void> {
  const topics = declaredTopics(config, kafka).filter(({ role }) => roles.includes(role));
  const failed = (await checkTopics(log, topics)).filter(({ state }) => state === "fail");
  if (failed.length === 0) return;
  throw new SluiceError("E_LOG_IO", failed.map(({ topic, message }) => `Topic ${topic}: ${message}`).join("\n"));
}

/** How one topic differs from what is declared. */
export function deviations(wanted: DeclaredTopic, found: TopicDescription | null): Deviation[] {
  const { name: topic, role } = wanted;
  if (found === null) {
    return [
      {
        topic,
        state: "fail",
        message: `expected a topic for ${role}, found none. Create it: \`sluice topics create\`.`,
      },
    ];
  }
  const all: Deviation[] = [];
  const add = (state: Deviation["state"], message: string): void => void all.push({ topic, state, message });
  const alter = (setting: string): string =>
    `\`kafka-configs --alter --entity-type topics --entity-name ${topic} --add-config ${setting}\``;

  if (found.partitions < wanted.partitions) {
    const setting = role === "images" ? "partitions" : "kafka.shards";
    const back = role === "images" || role === "candidates" ? `, or set \`${setting}: ${found.partitions}\`` : "";
    add(
      "fail",
      `expected at least ${counted(wanted.partitions, "partition")}, found ${found.partitions}. Add some: \`kafka-topics --alter --topic ${topic} --partitions ${wanted.partitions}\`${back}.`,
    );
  }
  const policy = found.settings["cleanup.policy"] ?? "delete";
  const policies = policy.split(",").map((one) => one.trim());
  if (wanted.compacted && policy !== "compact") {
    add(
      "fail",
      `expected cleanup.policy=compact, found ${policy}: what is not written again would be removed by age. ${alter("cleanup.policy=compact")}.`,
    );
  } else if (!wanted.compacted && policies.includes("compact")) {
    add(
      "fail",
      `expected cleanup.policy=delete, found ${policy}: compaction removes records that have the same key as later ones. ${alter("cleanup.policy=delete")}.`,
    );
  }
  const retentionMs = Number(found.settings["retention.ms"] ?? -1);
  if (!wanted.compacted && isShorter(retentionMs, wanted.retentionMs)) {
    const lost = wanted.onlyCopy
      ? "what it removes is nowhere else"
      : "a worker that comes later reads the archive instead";
    const back = role === "images" ? `, or set \`kafka.imagesRetentionMs: ${retentionMs}\`` : "";
    add(
      role === "labels" || role === "store" ? "fail" : "warn",
      `expected retention.ms=${wanted.retentionMs}, found ${retentionMs} (${daysText(retentionMs)}): ${lost}. ${alter(`retention.ms=${wanted.retentionMs}`)}${back}.`,
    );
  }
  const retentionBytes = Number(found.settings["retention.bytes"] ?? -1);
  // What the images topic's size takes before it is scored is told by how much waits.
  if (wanted.onlyCopy && role !== "images" && retentionBytes >= 0) {
    add(
      "fail",
      `expected retention.bytes=-1, found ${retentionBytes}: the oldest records go when there are more, and they are nowhere else. ${alter("retention.bytes=-1")}.`,
    );
  }
  const maxBytes = Number(found.settings["max.message.bytes"] ?? Number.POSITIVE_INFINITY);
  if (wanted.maxMessageBytes !== null && maxBytes < wanted.maxMessageBytes) {
    const back = maxBytes < LEAST_MESSAGE_BYTES ? "" : `, or set \`kafka.maxMessageBytes: ${maxBytes}\``;
    add(
      "fail",
      `expected max.message.bytes of at least ${wanted.maxMessageBytes}, found ${maxBytes}: larger messages are refused. ${alter(`max.message.bytes=${wanted.maxMessageBytes}`)}${back}.`,
    );
  }
  return all;
}

function isShorter(foundMs: number, wantedMs: number): boolean {
  return foundMs >= 0 && (wantedMs < 0 || foundMs < wantedMs);
}

export function daysText(ms: number): string {
  if (ms < 0) return "for ever";
  return ms < DAY_MS ? `${(ms / 3_600_000).toFixed(1)} hours` : `${(ms / DAY_MS).toFixed(1)} days`;
}
