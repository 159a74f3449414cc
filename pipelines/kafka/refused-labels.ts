import type { Log } from "../../connectors/log/log.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { decodeQuarantined, type Quarantined } from "../../schemas/wire/quarantined.js";

/** How many records are asked for at a time. */
const PAGE = 1000;

/** The labels that were refused, as the quarantine topic still has them: each once, in the order of the labels topic. */
export async function refusedLabels(
  log: Pick<Log, "ends" | "fetch">,
  topics: Pick<KafkaConfig["topics"], "labels" | "quarantine">,
): Promise<Quarantined[]> {
  const found = new Map<string, Quarantined>();
  for (const [partition, { start, end }] of (await log.ends(topics.quarantine)).entries()) {
    for (let from = start; from < end; from += PAGE) {
      const offsets = Array.from({ length: Math.min(PAGE, end - from) }, (_, at) => from + at);
      for (const record of await log.fetch(topics.quarantine, partition, offsets)) {
        const one = decodeQuarantined(record, { topic: topics.quarantine, partition });
        // Labels are of no teacher; images are.
        if (one.teacher === "" && one.stream === topics.labels) found.set(`${one.partition}/${one.offset}`, one);
      }
    }
  }
  return [...found.values()].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}
