import type { Assignment } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import type { Config } from "../../schemas/config.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupPrefix } from "../../schemas/kafka-names.js";
import { keepRunning } from "../flow/keep-running.js";
import { takeIn, takenIn, warnOfLoss, type LabelTopic } from "./take-in-labels.js";
import { assertTopics } from "./topics.js";
import type { TopicLog } from "./topic-log.js";

export interface RunLabelsOptions {
  readonly config: Config;
  readonly kafka: KafkaConfig;
  readonly log: TopicLog;
  readonly store: Store;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

const AT_A_TIME = { maxRecords: 1000, maxBytes: 1024 * 1024 };

/**
 * labels topic -> the archived label log, until stopped. Goes on where the archive ends, whatever the group has committed;
 * two at once would do no harm. The group is the stream's own: each stream has all labels of a topic that several share.
 */
export async function runLabels(options: RunLabelsOptions): Promise<void> {
  const { config, kafka, log, store, onWarning, signal, nowMs } = options;
  const { stream } = config;
  const topic: LabelTopic = { log, store, stream, topics: kafka.topics, onWarning, nowMs };
  await assertTopics(log, config, kafka, ["labels", "quarantine"]);
  const task = (assignment: Assignment): Promise<void> => takeInWhileGiven(topic, assignment);
  const work = (): Promise<void> => log.consume(kafka.topics.labels, groupPrefix(config, "labels"), task, signal);
  await keepRunning(work, { signal, onWarning, nowMs });
}

async function takeInWhileGiven(topic: LabelTopic, assignment: Assignment): Promise<void> {
  const { partition } = assignment;
  let end = await takenIn(topic, partition);
  const { start } = (await topic.log.ends(topic.topics.labels))[partition]!;
  warnOfLoss(topic, partition, end, start);
  const committed = await assignment.committed();
  if (end > 0 && committed !== end) await assignment.commit(end);
  for await (const batch of assignment.read(end, AT_A_TIME)) {
    if (batch.end > end && batch.records.length > 0)
      end = await takeIn(topic, partition, batch.records, end, batch.end);
    await assignment.commit(Math.min(end, batch.end));
  }
}
