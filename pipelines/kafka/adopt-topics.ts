import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../connectors/store/store.js";
import { streamLog, succeedStreamLog, type CountedLog } from "../../operators/archive/stream-log.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { LogIdentity } from "../../schemas/stream-log.js";
import { archivedEnds, isArchived, type ArchivedEnd, type ArchivedRecord } from "../flow/held-images.js";
import { assertContinues } from "../flow/log-continues.js";
import type { StreamKafka } from "../open/open-kafka.js";
import { countedAsArchived } from "../open/open-kafka.js";
import { assertLabelsContinue, heldLabels, labelEnds } from "./same-labels.js";

/** How one partition of a topic that is adopted goes on. */
export interface AdoptedPartition {
  readonly partition: number;
  /** Offsets of the archive = base + offset in the topic */
  readonly base: number;
  /** Where the archive of what came before ends */
  readonly archivedTo: number;
  /** Offset in the topic of the last record that is archived; null: it has none of what was archived */
  readonly lastArchived: number | null;
}

export interface AdoptedTopic {
  readonly topic: string;
  readonly of: CountedLog;
  /** null: the topic is the one that was archived; nothing is recorded */
  readonly partitions: readonly AdoptedPartition[] | null;
}

export interface AdoptOptions {
  /** Counts offsets as the topics do */
  readonly log: KafkaLog;
  readonly place: StreamKafka;
  readonly store: Store;
  readonly dryRun: boolean;
}

/**
 * Records that a stream goes on in the topics that there are now, although they are not those that it was archived from. What is
 * archived stays; the topics' records follow on it.
 */
export async function adoptTopics(options: AdoptOptions): Promise<AdoptedTopic[]> {
  const { log, place, store, dryRun } = options;
  const { stream, kafka } = place;
  const { labels } = kafka.topics;
  const counted = await countedAsArchived(log, place, store);
  const adopted: AdoptedTopic[] = [];
  const adopt = async (topic: string, of: CountedLog, partitions: readonly AdoptedPartition[]): Promise<void> => {
    const bases: (number | undefined)[] = [];
    for (const { partition, base } of partitions) bases[partition] = base;
    const identity: LogIdentity = { ...(await log.identity(topic)), bases: Array.from(bases, (base) => base ?? 0) };
    if (!dryRun) await succeedStreamLog(store, stream, identity, of);
    adopted.push({ topic, of, partitions });
  };
  const ends = await archivedEnds(store, stream);
  const isImages = await isSame(() => assertContinues(counted, store, stream));
  if (isImages) adopted.push({ topic: stream, of: "images", partitions: null });
  else {
    const before = (await streamLog(store, stream))?.log.bases ?? [];
    const partitions: AdoptedPartition[] = [];
    for (const one of ends) partitions.push(await imagesGoOn(log, stream, one, before[one.partition] ?? 0));
    await adopt(stream, "images", partitions);
  }
  if ((await log.describeTopic(labels, [])) === null) return adopted;
  const labelled = { log: counted, store, stream, topics: kafka.topics };
  const isLabels = await isSame(() => assertLabelsContinue(labelled));
  if (isLabels) adopted.push({ topic: labels, of: "labels", partitions: null });
  else {
    const before = (await streamLog(store, stream, "labels"))?.log.bases ?? [];
    const isMoved = (await heldLabels(labelled)).what === "same";
    const partitions = [...(await labelEnds(store, stream))].map(([partition, archivedTo]): AdoptedPartition => {
      const base = isMoved ? (before[partition] ?? 0) : archivedTo;
      return { partition, base, archivedTo, lastArchived: isMoved ? archivedTo - base - 1 : null };
    });
    await adopt(labels, "labels", partitions);
  }
  return adopted;
}

async function isSame(look: () => Promise<void>): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_RECREATED")) throw error;
    return false;
  }
}

/** How far back from a topic's end the last archived record is looked for, records */
const LOOK_BACK = 20_000;
/** How many are read at a time */
const PAGE = 500;

async function imagesGoOn(
  log: KafkaLog,
  stream: string,
  archived: ArchivedEnd,
  base: number,
): Promise<AdoptedPartition> {
  const { partition, end, last } = archived;
  const newest = last[0];
  const found =
    newest === undefined ? null : await findRecord(log, { stream, partition }, newest, newest.offset - base);
  // What follows on the last archived record, or else the topic's first one, is the archive's next.
  return { partition, base: found === null ? end : end - (found + 1), archivedTo: end, lastArchived: found };
}

/** The offset at which a topic has an archived record: where it should be, or else not too far before the topic's end. */
async function findRecord(
  log: KafkaLog,
  place: { readonly stream: string; readonly partition: number },
  wanted: ArchivedRecord,
  expected: number,
): Promise<number | null> {
  const { stream, partition } = place;
  const { start = 0, end = 0 } = (await log.ends(stream))[partition] ?? {};
  const among = async (offsets: readonly number[]): Promise<number | null> => {
    const records = await log.fetch(stream, partition, offsets);
    return records.findLast((record) => isArchived(wanted, record, place) === true)?.offset ?? null;
  };
  if (expected >= start && expected < end) {
    const there = await among([expected]);
    if (there !== null) return there;
  }
  for (let until = end; until > Math.max(start, end - LOOK_BACK); until -= PAGE) {
    const from = Math.max(start, until - PAGE);
    const there = await among(Array.from({ length: until - from }, (_, at) => from + at));
    if (there !== null) return there;
  }
  return null;
}
