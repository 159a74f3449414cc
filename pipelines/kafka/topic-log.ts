import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Log } from "../../connectors/log/log.js";

/** What the processes beside Kafka need of it: the log's contract, and topics that are read and described without a group. */
export type TopicLog = Log & Pick<KafkaLog, "ensureTopic" | "read" | "describeTopic">;
