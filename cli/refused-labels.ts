import type { Config } from "../schemas/config.js";
import { counted, countText } from "../schemas/counted.js";
import { isSluiceError } from "../schemas/errors.js";
import type { Quarantined } from "../schemas/wire/quarantined.js";
import type { Invocation } from "./invocation.js";
import { tableText } from "./wording.js";

/** What the labels topic had that was refused; none where there is no cluster, and with a warning where it cannot be asked. */
export async function labelsRefused(run: Invocation, { kafka }: Config): Promise<readonly Quarantined[]> {
  if (kafka === undefined) return [];
  const { openKafka } = await import("../pipelines/open/open-kafka.js");
  const { refusedLabels } = await import("../pipelines/kafka/refused-labels.js");
  try {
    const log = await openKafka(kafka);
    try {
      return await refusedLabels(log, kafka.topics);
    } finally {
      await log.close();
    }
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_IO") && !isSluiceError(error, "E_LOG_ACCESS")) throw error;
    run.warn(`Labels that were refused are not listed: ${error.message}`);
    return [];
  }
}

export function refusedLabelsText(labels: readonly Quarantined[], limit: number): string[] {
  if (labels.length === 0) return [];
  const rows = labels
    .slice(0, limit)
    .map(({ partition, offset, code, reason }) => [`${partition}/${offset}`, code, reason]);
  const more = labels.length > limit ? [`… and ${countText(labels.length - limit)} more (--limit)`] : [];
  return [
    `${counted(labels.length, "label")} refused on the labels topic. A corrected record on the topic says it anew:`,
    tableText(["offset", "code", "reason"], rows),
    ...more,
  ];
}
