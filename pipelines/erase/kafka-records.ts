import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import type { ErasedRecord } from "./erase.js";

/** Erased images that a topic's partition has records of still */
export interface KeptRecords {
  readonly topic: string;
  readonly partition: number;
  /** First and last of them */
  readonly offsets: readonly [number, number];
  readonly records: number;
  /** When the topic's retention lets the last one go at the latest, ms since the epoch; null: never by age */
  readonly untilMs: number | null;
  /** Whether all records up to the last one are archived by every teacher that reads there: then they may go */
  readonly mayGo: boolean;
}

/** What of erased images the topics have. Records at Kafka cannot be taken out of the middle of a partition. */
export async function keptRecords(
  log: KafkaLog,
  store: Store,
  records: readonly ErasedRecord[],
): Promise<KeptRecords[]> {
  const kept: KeptRecords[] = [];
  for (const topic of [...new Set(records.map(({ stream }) => stream))].sort()) {
    const described = await log.describeTopic(topic, ["retention.ms"]);
    if (described === null) continue;
    const retentionMs = Number(described.settings["retention.ms"] ?? -1);
    for (const [partition, { start }] of (await log.ends(topic)).entries()) {
      const here = records.filter((one) => one.stream === topic && one.partition === partition && one.offset >= start);
      const offsets = [...new Set(here.map(({ offset }) => offset))].sort((a, b) => a - b);
      const [first, last] = [offsets[0], offsets.at(-1)];
      if (first === undefined || last === undefined) continue;
      const found = await log.fetch(topic, partition, [last]);
      const lastMs = found[0]?.timestampMs ?? null;
      const untilMs = retentionMs < 0 || lastMs === null ? null : lastMs + retentionMs;
      const mayGo = (await archivedByAll(store, topic, partition, last)) > last;
      kept.push({ topic, partition, offsets: [first, last], records: offsets.length, untilMs, mayGo });
    }
  }
  return kept;
}

/** Where the least of the chains ends that reach to an offset, or have it before them. */
async function archivedByAll(store: Store, stream: string, partition: number, offset: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (const teacher of (await readCards(store)).keys()) {
    const archive = new ArchiveReader(store, { teacher, stream });
    for (const chain of await archive.chains()) {
      if (chain.partition !== partition || chain.origin > offset) continue;
      least = Math.min(least, await archive.chain(chain).end());
    }
  }
  return least;
}

/** Deletes the records of partitions up to their last erased one, where they may go. Returns those that went. */
export async function deletePrefixes(log: KafkaLog, kept: readonly KeptRecords[]): Promise<KeptRecords[]> {
  const gone = kept.filter(({ mayGo }) => mayGo);
  for (const { topic, partition, offsets } of gone) await log.deleteBefore(topic, partition, offsets[1] + 1);
  return gone;
}
