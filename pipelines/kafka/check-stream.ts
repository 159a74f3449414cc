import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import { isSluiceError } from "../../schemas/errors.js";
import { furthestArchived } from "../flow/furthest-archived.js";
import { assertContinues } from "../flow/log-continues.js";
import { countedAsArchived, type StreamKafka } from "../open/open-kafka.js";
import { streamStoreFault } from "./stream-store.js";
import { assertLabelsContinue } from "./same-labels.js";
import { checkRetention } from "./topic-retention.js";
import type { Deviation } from "./topics.js";

/**
 * Whether a stream's topics are those that its archive was made of, whether its store is the one that the others have, and what readers do
 * not get since a transaction is not finished. Topics that are not there are told of elsewhere.
 */
export async function checkStream(
  log: KafkaLog,
  { stream, kafka }: StreamKafka,
  store: Store | null,
): Promise<Deviation[]> {
  const { topics } = kafka;
  const isThere = async (topic: string): Promise<boolean> => (await log.describeTopic(topic, [])) !== null;
  const found: Deviation[] = [];
  const fail = (topic: string, message: string): void => void found.push({ topic, state: "fail", message });
  if (store !== null && (await isThere(topics.store))) {
    const fault = await streamStoreFault({ log, kafka, stream, store });
    if (fault !== null) fail(topics.store, fault.message);
  }
  if (await isThere(stream)) {
    const told = await recreated(() => (store === null ? Promise.resolve() : assertContinues(log, store, stream)));
    if (told !== null) fail(stream, told);
    for (const [partition, records] of (await log.heldBack(stream)).entries()) {
      if (records === 0) continue;
      const message = `${stream}/${partition}: a transaction that is not finished holds readers back: ${counted(records, "offset")} behind it ${records === 1 ? "is" : "are"} not read, and not counted as waiting. Where its producer is gone, \`kafka-transactions --abort\` ends it; Kafka does so after the producer's transaction.timeout.ms.`;
      found.push({ topic: stream, state: "warn", message });
    }
  }
  if (store !== null && (await isThere(topics.labels))) {
    const told = await recreated(() => assertLabelsContinue({ log, store, stream, topics }));
    if (told !== null) fail(topics.labels, told);
  }
  return found;
}

async function recreated(look: () => Promise<void>): Promise<string | null> {
  try {
    await look();
    return null;
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_RECREATED")) throw error;
    return error.message;
  }
}

/** What the archive says of the topics: what is lost or about to be, and `checkStream`. `store` null: there is none yet. */
export async function checkAgainstArchive(
  log: KafkaLog,
  place: StreamKafka,
  store: Store | null,
  nowMs: number,
): Promise<Deviation[]> {
  const counted = store === null ? log : await countedAsArchived(log, place, store);
  const scoredTo = store === null ? new Map<number, number>() : await furthestArchived(store, place.stream);
  return [
    ...(await checkRetention(counted, place.stream, scoredTo, nowMs)),
    ...(await checkStream(counted, place, store)),
  ];
}
