import { counted } from "../../schemas/counted.js";
import { partitionOfKey } from "../../connectors/log/kafka/partition.js";
import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { readCards, type ArchivedCard } from "../../operators/archive/teacher-registry.js";
import { archivedTo, archiveLabels } from "../../operators/archive/image-labels.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { labelTimeFault, topicLabels, type ImageLabel } from "../../schemas/image-label.js";
import type { LogRecord, StoredRecord } from "../../schemas/image-record.js";
import { presentName } from "../versions/present-name.js";
import { assertSameLabels } from "./same-labels.js";
import { ANY_CLASS_HEADER, decodeLabel, encodeLabel } from "../../schemas/wire/labels.js";
import type { RecordPlace } from "../../schemas/wire/format-version.js";
import { tellRefused } from "./told-quarantine.js";

export interface LabelTopic {
  readonly log: Log;
  readonly store: Store;
  /** Of the images that labels are about */
  readonly stream: string;
  readonly topics: { readonly labels: string; readonly quarantine: string };
  readonly onWarning: (message: string) => void;
  readonly nowMs: () => number;
}

/** How many records are asked for at a time. */
const PAGE = 1000;

/** Where the archived labels of a partition of the topic end. Throws E_LOG_RECREATED where the topic is another one, or ends before. */
export async function takenIn(topic: LabelTopic, partition: number): Promise<number> {
  const { log, store, stream, topics } = topic;
  await assertSameLabels(topic);
  const end = await archivedTo(store, stream, topicLabels(partition));
  const { end: logEnd } = (await log.ends(topics.labels))[partition] ?? { end: 0 };
  if (end <= logEnd) return end;
  throw new SluiceError(
    "E_LOG_RECREATED",
    `Expected ${topics.labels}/${partition} to reach offset ${end}, where the archived labels of "${stream}" end, found its end at ${logEnd}: ` +
      "the topic was deleted and made anew, or another log stands in its place. `sluice topics adopt` goes on with it where the archive ends.",
    { partition, archivedTo: end, logEnd },
  );
}

/**
 * Archives records of the topic at offsets [from, end): a segment that follows on what is archived, whoever else does so
 * at the same time. What does not read as a label, or names a class that no teacher has, is told to the quarantine topic first, and passed over. Returns where
 * the archived labels end now.
 */
export async function takeIn(
  topic: LabelTopic,
  partition: number,
  records: readonly StoredRecord[],
  from: number,
  end: number,
): Promise<number> {
  const { log, store, stream, topics, onWarning, nowMs } = topic;
  const place = { topic: topics.labels, partition };
  const labels: { readonly offset: number; readonly label: ImageLabel }[] = [];
  // Looked up with each portion that names classes: a teacher may have come.
  let cards: readonly ArchivedCard[] | null = null;
  for (const record of records) {
    try {
      const label = inMs(decodeLabel(record, place), record, place);
      if ("class" in label) cards ??= [...(await readCards(store)).values()];
      labels.push({ offset: record.offset, label: withPresentName(label, record, store.place, cards ?? []) });
    } catch (error) {
      if (!isSluiceError(error, "E_RECORD_SCHEMA") && !isSluiceError(error, "E_SELECTION")) throw error;
      onWarning(error.message);
      await tellRefused(record, place, error, { log, topic: topics.quarantine, nowMs });
    }
  }
  let at = from;
  while (at < end) {
    const start = at;
    const rest = labels.filter(({ offset }) => offset >= start).map(({ label }) => label);
    at = (await archiveLabels(store, { stream, partition: topicLabels(partition), start, end }, rest)).end;
  }
  return at;
}

/** Throws E_RECORD_SCHEMA for a time in another unit, as `sluice label` refuses it. */
function inMs(label: ImageLabel, { offset }: StoredRecord, { topic, partition }: RecordPlace): ImageLabel {
  const fault = labelTimeFault(label.timeMs);
  if (fault === null) return label;
  throw new SluiceError(
    "E_RECORD_SCHEMA",
    `Expected timeMs in ms since 1970 at ${topic}/${partition}/${offset}, found ${fault}.`,
  );
}

/** As `sluice label` records it. Before any teacher has scored nobody knows which classes there will be. Throws E_SELECTION for a class that none has. */
function withPresentName(
  label: ImageLabel,
  { headers }: StoredRecord,
  place: string,
  cards: readonly ArchivedCard[],
): ImageLabel {
  if (!("class" in label) || cards.length === 0) return label;
  return { ...label, number: undefined, ...presentName(place, cards, label, headers[ANY_CLASS_HEADER] === "1") };
}

/** Warns of labels that the topic lost before they were archived. */
export function warnOfLoss(topic: LabelTopic, partition: number, expected: number, start: number): void {
  if (start <= expected) return;
  topic.onWarning(
    `Expected ${topic.topics.labels}/${partition} to go on at offset ${expected}, found that it starts at ${start}: what it had below, ${counted(start - expected, "record")}, was removed before it was taken in, and what was said there is lost. Set the topic's retention.ms to -1.`,
  );
}

/** Archives all that the topic has now. */
export async function takeInAll(topic: LabelTopic): Promise<void> {
  const { log, topics } = topic;
  for (const [partition, { start, end }] of (await log.ends(topics.labels)).entries()) {
    let at = await takenIn(topic, partition);
    warnOfLoss(topic, partition, at, start);
    while (at < end) {
      const from = Math.max(at, start);
      const until = Math.min(end, from + PAGE);
      const offsets = Array.from({ length: until - from }, (_, index) => from + index);
      at = await takeIn(topic, partition, await log.fetch(topics.labels, partition, offsets), at, until);
    }
  }
}

/** Appends labels to the topic, durably, an image's always to the same partition; then archives them. */
export async function sayOnTopic(topic: LabelTopic, labels: readonly ImageLabel[], anyClass = false): Promise<void> {
  const { log, topics } = topic;
  const partitions = (await log.ends(topics.labels)).length;
  const byPartition = new Map<number, LogRecord[]>();
  for (const label of labels) {
    const record = encodeLabel(label, anyClass);
    const partition = record.key === null ? 0 : partitionOfKey(record.key, partitions);
    const own = byPartition.get(partition) ?? [];
    own.push(record);
    byPartition.set(partition, own);
  }
  for (const [partition, records] of byPartition) await log.append(topics.labels, partition, records);
  await takeInAll(topic);
}
