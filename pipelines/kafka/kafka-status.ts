import type { GroupState } from "../../connectors/log/kafka/lag.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Config } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupPrefix, type GroupRole } from "../../schemas/kafka-names.js";
import { countedAsArchived, openKafka, type StreamKafka } from "../open/open-kafka.js";
import type { Store } from "../../connectors/store/store.js";
import { checkStream } from "./check-stream.js";
import { checkRetention } from "./topic-retention.js";
import type { Deviation } from "./topics.js";

/** How far the processes of one group are behind on one topic. */
export interface GroupStatus extends GroupState {
  readonly topic: string;
}

export interface KafkaStatus {
  readonly brokers: string;
  /** Why the log cannot be read; null where it can */
  readonly away: string | null;
  readonly groups: readonly GroupStatus[];
  /** What retention takes, or is about to take, before it is scored; another store or topic than the stream's; what is held back */
  readonly retention: readonly Deviation[];
}

/** A cluster that `work` looks at; `away` says why there is none. */
export interface SeenKafka {
  readonly log: KafkaLog | null;
  readonly away: string | null;
}

/** Opens the cluster for looking at it. One that does not answer is no error here. */
export async function withKafka<T>(
  place: StreamKafka,
  store: Store | null,
  work: (seen: SeenKafka) => Promise<T>,
): Promise<T> {
  let log: KafkaLog;
  try {
    const opened = await openKafka(place.kafka);
    log = store === null ? opened : await countedAsArchived(opened, place, store);
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_IO")) throw error;
    return work({ log: null, away: error.message });
  }
  try {
    return await work({ log, away: null });
  } finally {
    await log.close();
  }
}

/** Who works on which topic; `partitions`: those that are ever read, where not all are. */
const GROUPS: readonly {
  readonly on: "images" | "candidates" | "labels";
  readonly role: GroupRole;
  readonly partitions?: readonly number[];
}[] = [
  { on: "images", role: "score" },
  { on: "images", role: "replay" },
  { on: "candidates", role: "topk" },
  { on: "candidates", role: "publish", partitions: [0] },
  { on: "labels", role: "labels" },
];

/** `scoredTo`: where the furthest archive ends, by partition; null where the store cannot say. */
export async function kafkaStatus(
  { log, away }: SeenKafka,
  { stream }: Pick<Config, "stream">,
  kafka: KafkaConfig,
  scoredTo: ReadonlyMap<number, number> | null,
  store: Store | null,
  nowMs: number,
): Promise<KafkaStatus> {
  const { brokers, topics } = kafka;
  const none = { brokers, groups: [], retention: [] };
  if (log === null) return { ...none, away };
  try {
    if ((await log.describeTopic(stream, [])) === null) {
      return { ...none, away: `Expected a topic "${stream}", found none. Create it: \`sluice topics create\`.` };
    }
    const groups: GroupStatus[] = [];
    for (const { on, role, partitions } of GROUPS) {
      const topic = on === "images" ? stream : topics[on];
      if ((await log.describeTopic(topic, [])) === null) continue;
      const prefix = groupPrefix({ stream, kafka }, role);
      for (const state of await log.groupStates(topic, prefix, partitions)) groups.push({ ...state, topic });
    }
    const retention = [
      ...(scoredTo === null ? [] : await checkRetention(log, stream, scoredTo, nowMs)),
      ...(await checkStream(log, { stream, kafka }, store)),
    ];
    return { brokers, away: null, groups, retention };
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_IO")) throw error;
    return { ...none, away: error.message };
  }
}
