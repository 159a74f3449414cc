import { openKafkaLog, type KafkaLog, type KafkaLogOptions } from "../../connectors/log/kafka/kafka-log.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";

/** Opens the configured Kafka cluster as a log. Throws E_LOG_ACCESS, or E_LOG_IO where no broker answers. */
export async function openKafka(kafka: KafkaConfig, onRetry?: KafkaLogOptions["onRetry"]): Promise<KafkaLog> {
  const { brokers, tls, sasl, replicationFactor, maxMessageBytes, topics } = kafka;
  return openKafkaLog({
    brokers: brokers.split(",").map((broker) => broker.trim()),
    replicationFactor,
    cursorTopic: topics.cursors,
    // Columns of an image's classes and places: a third is left of them.
    gzipTopics: [topics.candidates],
    // Headers of the batch come on top. Topics that are made elsewhere take Kafka's default, 1 MiB.
    maxBatchBytes: Math.min(maxMessageBytes, 1024 * 1024) - 64 * 1024,
    ...(onRetry === undefined ? {} : { onRetry }),
    ...(tls ? { ssl: true } : {}),
    ...(sasl === undefined ? {} : { sasl }),
  });
}
