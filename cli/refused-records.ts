import type { RefusedRecords } from "../pipelines/kafka/refused-records.js";
import type { Config } from "../schemas/config.js";
import { counted, countText } from "../schemas/counted.js";
import { isSluiceError } from "../schemas/errors.js";
import type { Quarantined } from "../schemas/wire/quarantined.js";
import type { Invocation } from "./invocation.js";
import { tableText } from "./wording.js";

const NONE: RefusedRecords = { labels: [], notices: [] };

/** What topics had that was refused; none where there is no cluster, and with a warning where it cannot be asked. */
export async function recordsRefused(
  run: Invocation,
  { kafka }: Config,
  matches: (one: Quarantined) => boolean,
): Promise<RefusedRecords> {
  if (kafka === undefined) return NONE;
  const { openKafka } = await import("../pipelines/open/open-kafka.js");
  const { refusedRecords } = await import("../pipelines/kafka/refused-records.js");
  try {
    const log = await openKafka(kafka);
    try {
      const { labels, notices } = await refusedRecords(log, kafka.topics);
      return { labels: labels.filter(matches), notices: notices.filter(matches) };
    } finally {
      await log.close();
    }
  } catch (error) {
    if (!isSluiceError(error, "E_LOG_IO") && !isSluiceError(error, "E_LOG_ACCESS")) throw error;
    run.warn(`Labels and notifications that were refused are not listed: ${error.message}`);
    return NONE;
  }
}

export function refusedRecordsText({ labels, notices }: RefusedRecords, limit: number): string[] {
  return [
    ...listed(labels, "label", "refused on the labels topic. A corrected record on the topic says it anew:", limit),
    ...listed(
      notices,
      "notification",
      "refused. `sluice produce s3://…` lists the bucket and takes what is missing:",
      limit,
    ),
  ];
}

function listed(records: readonly Quarantined[], noun: string, said: string, limit: number): string[] {
  if (records.length === 0) return [];
  const rows = records
    .slice(0, limit)
    .map(({ partition, offset, code, reason }) => [`${partition}/${offset}`, code, reason]);
  const more = records.length > limit ? [`… and ${countText(records.length - limit)} more (--limit)`] : [];
  return [`${counted(records.length, noun)} ${said}`, tableText(["offset", "code", "reason"], rows), ...more];
}
