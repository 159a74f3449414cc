import { basedLog } from "../../connectors/log/kafka/based-log.js";
import type { KafkaLog, KafkaLogOptions } from "../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../connectors/store/store.js";
import { streamLog } from "../../operators/archive/stream-log.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { kafkaLogin, kafkaTls } from "./kafka-login.js";
import { assertRights, type NeededRights } from "../kafka/needed-rights.js";
import { assertStreamStore } from "../kafka/stream-store.js";

export interface OpeningKafka extends Pick<KafkaLogOptions, "openPatienceMs" | "onSettled"> {
  /** What the work needs to be allowed, where that is known: said before it begins */
  readonly rights?: NeededRights;
}

/**
 * Opens the configured Kafka cluster as a log. Throws E_LOG_ACCESS, also where a right is missing, or E_LOG_IO where no broker answers within
 * `openPatienceMs`.
 */
export async function openKafka(
  kafka: KafkaConfig,
  onRetry?: KafkaLogOptions["onRetry"],
  { rights, ...how }: OpeningKafka = {},
): Promise<KafkaLog> {
  const { brokers, sasl, clientId, replicationFactor, maxMessageBytes, topics } = kafka;
  const ssl = kafkaTls(kafka);
  // Loaded where it is used, as is every client of a server: a command that talks to none starts sooner.
  const { openKafkaLog } = await import("../../connectors/log/kafka/kafka-log.js");
  const log = await openKafkaLog({
    clientId,
    brokers: brokers.split(",").map((broker) => broker.trim()),
    replicationFactor,
    cursorTopic: topics.cursors,
    // Columns of an image's classes and places: a third is left of them.
    gzipTopics: [topics.candidates],
    // Headers of the batch come on top. Topics that are made elsewhere take Kafka's default, 1 MiB.
    maxBatchBytes: Math.min(maxMessageBytes, 1024 * 1024) - 64 * 1024,
    ...(onRetry === undefined ? {} : { onRetry }),
    ...how,
    ...(ssl === null ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: kafkaLogin(sasl) }),
  });
  try {
    if (rights !== undefined) await assertRights(log, rights);
    return log;
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** A stream on a cluster. */
export interface StreamKafka {
  readonly stream: string;
  readonly kafka: KafkaConfig;
}

/**
 * Opens the cluster for work on a stream whose archive lies in `store`: its log counts offsets as the archive does. Throws what
 * `openKafka` throws, and E_STORE_OTHER where the stream is archived in another store.
 */
export async function openStreamKafka(
  { stream, kafka }: StreamKafka,
  store: Store,
  onRetry?: KafkaLogOptions["onRetry"],
  how: OpeningKafka = {},
): Promise<KafkaLog> {
  const log = await openKafka(kafka, onRetry, how);
  try {
    await assertStreamStore({ log, kafka, stream, store });
    return await countedAsArchived(log, { stream, kafka }, store);
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** A log that counts offsets as a stream's archive does; `streams`: and as those of others do. */
export async function countedAsArchived(
  log: KafkaLog,
  { stream, kafka }: StreamKafka,
  store: Store,
  streams: readonly string[] = [],
): Promise<KafkaLog> {
  const bases = new Map<string, readonly number[]>();
  for (const one of new Set([stream, ...streams])) bases.set(one, (await streamLog(store, one))?.log.bases ?? []);
  bases.set(kafka.topics.labels, (await streamLog(store, stream, "labels"))?.log.bases ?? []);
  return basedLog(log, bases);
}
