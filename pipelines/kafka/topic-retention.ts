import { counted } from "../../schemas/counted.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import { daysText, type Deviation } from "./topics.js";

/**
 * Whether the images topic forgets records before they are scored, by their age or by the topic's size. `scoredTo`: where the
 * furthest archive ends, by partition; absent: nothing is scored of it.
 */
export async function checkRetention(
  log: KafkaLog,
  topic: string,
  scoredTo: ReadonlyMap<number, number>,
  nowMs: number,
): Promise<Deviation[]> {
  const described = await log.describeTopic(topic, ["retention.ms", "retention.bytes"]);
  if (described === null) return [];
  const retentionMs = Number(described.settings["retention.ms"] ?? -1);
  const retentionBytes = Number(described.settings["retention.bytes"] ?? -1);
  const ends = await log.ends(topic);
  const youngerThan = async (ageMs: number): Promise<readonly number[]> =>
    retentionMs < 0 ? [] : log.offsetsAt(topic, nowMs - ageMs);
  const [removable, halfway] = [await youngerThan(retentionMs), await youngerThan(retentionMs / 2)];
  const found: Deviation[] = [];
  for (const [partition, { start, end }] of ends.entries()) {
    const from = Math.max(scoredTo.get(partition) ?? start, start);
    found.push(
      ...retentionDeviations({
        topic,
        partition,
        start,
        scoredTo: scoredTo.get(partition) ?? null,
        retentionMs,
        removable: removable[partition] ?? 0,
        halfway: halfway[partition] ?? 0,
        retentionBytes,
        waitingBytes: retentionBytes < 0 ? 0 : await bytesBetween(log, topic, partition, from, end),
      }),
    );
  }
  return found;
}

/** Records that are looked at to tell how many bytes many are */
const SAMPLES = 5;
/** What a record takes besides its value, its key and its headers, about */
const RECORD_BYTES = 20;

/** About how many bytes the records at offsets [start, end) take: those of a few of them. What compression saves is left out. */
async function bytesBetween(
  log: KafkaLog,
  topic: string,
  partition: number,
  start: number,
  end: number,
): Promise<number> {
  const count = end - start;
  if (count <= 0) return 0;
  const offsets = Array.from(
    { length: Math.min(SAMPLES, count) },
    (_, at) => start + Math.floor((at * count) / SAMPLES),
  );
  const records = await log.fetch(topic, partition, [...new Set(offsets)]);
  const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
  return records.length === 0 ? 0 : (bytes / records.length) * count;
}

function sizeOf({ key, value, headers }: StoredRecord): number {
  const ofHeaders = Object.entries(headers).reduce((sum, [name, text]) => sum + name.length + text.length + 2, 0);
  return RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders;
}

export interface RetentionState {
  readonly topic: string;
  readonly partition: number;
  /** First offset still there */
  readonly start: number;
  /** Where the archive ends; null: nothing is archived */
  readonly scoredTo: number | null;
  /** -1: for ever */
  readonly retentionMs: number;
  /** First offset that is younger than the retention, and than half of it */
  readonly removable: number;
  readonly halfway: number;
  /** Of each partition; -1: any number */
  readonly retentionBytes: number;
  /** About how many wait to be scored */
  readonly waitingBytes: number;
}

export function retentionDeviations(state: RetentionState): Deviation[] {
  const { topic, partition, start, retentionMs, removable, halfway, retentionBytes, waitingBytes } = state;
  const place = `${topic}/${partition}`;
  const scoredTo = state.scoredTo ?? start;
  const faster = "or score faster: more scorers, more partitions.";
  const remedy = `Raise retention.ms (now ${retentionMs}, ${daysText(retentionMs)}), ${faster}`;
  const sizeRemedy = `Raise retention.bytes (now ${megabytes(retentionBytes)} a partition), ${faster}`;
  const all: Deviation[] = [];
  if (start > scoredTo) {
    const limits = [...(retentionMs < 0 ? [] : [remedy]), ...(retentionBytes < 0 ? [] : [sizeRemedy])];
    all.push({
      topic,
      state: "fail",
      message: `${place}: expected the log to reach back to ${scoredTo}, where the archive ends, found that it starts at ${start}: retention removed ${counted(start - scoredTo, "offset")} not yet scored; \`sluice ingest\` and \`sluice run score\` count what was there as lost. ${limits[0] ?? "Retention has no limits now: somebody removed them by hand."}`,
    });
  }
  const waiting = Math.max(scoredTo, start);
  if (waiting < removable) {
    all.push({
      topic,
      state: "fail",
      message: `${place}: expected everything older than the retention to be scored, found ${counted(removable - waiting, "offset")} not yet scored, which retention removes at any moment. ${remedy}`,
    });
  } else if (waiting < halfway) {
    all.push({
      topic,
      state: "warn",
      message: `${place}: ${counted(halfway - waiting, "offset")} waiting for longer than half the retention. ${remedy}`,
    });
  }
  if (retentionBytes >= 0 && waitingBytes > retentionBytes / 2) {
    const goes = waitingBytes > retentionBytes;
    all.push({
      topic,
      state: goes ? "fail" : "warn",
      message: `${place}: about ${megabytes(waitingBytes)} wait to be scored, ${goes ? "more than the topic keeps: the oldest go at any moment" : "more than half of what the topic keeps"}. ${sizeRemedy}`,
    });
  }
  return all;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
