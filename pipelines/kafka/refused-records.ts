import type { Log } from "../../connectors/log/log.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { decodeQuarantined, type Quarantined } from "../../schemas/wire/quarantined.js";

/** How many records are asked for at a time. */
const PAGE = 1000;

/** Records of topics that other programs write, that did not read: each once, in the order of its topic. */
export interface RefusedRecords {
  readonly labels: readonly Quarantined[];
  /** What should have been a bucket's notification */
  readonly notices: readonly Quarantined[];
}

/** What the quarantine topic still has of them. */
export async function refusedRecords(
  log: Pick<Log, "ends" | "fetch">,
  topics: Pick<KafkaConfig["topics"], "labels" | "events" | "quarantine">,
): Promise<RefusedRecords> {
  const found = new Map<string, Quarantined>();
  for (const [partition, { start, end }] of (await log.ends(topics.quarantine)).entries()) {
    for (let from = start; from < end; from += PAGE) {
      const offsets = Array.from({ length: Math.min(PAGE, end - from) }, (_, at) => from + at);
      for (const record of await log.fetch(topics.quarantine, partition, offsets)) {
        const one = decodeQuarantined(record, { topic: topics.quarantine, partition });
        // These are of no teacher; images are.
        if (one.teacher === "") found.set(`${one.stream}/${one.partition}/${one.offset}`, one);
      }
    }
  }
  const ofTopic = (topic: string): Quarantined[] =>
    [...found.values()]
      .filter(({ stream }) => stream === topic)
      .sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  return { labels: ofTopic(topics.labels), notices: ofTopic(topics.events) };
}
