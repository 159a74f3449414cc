import type { Config } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";

/** Throws E_CONFIG where no cluster is configured. */
export function kafkaOf(config: Pick<Config, "kafka">): KafkaConfig {
  if (config.kafka !== undefined) return config.kafka;
  throw new SluiceError(
    "E_CONFIG",
    "Expected a Kafka cluster, found none. Name its brokers: `kafka: {brokers: host:9092}` in sluice.yaml, or SLUICE_KAFKA__BROKERS.",
  );
}
