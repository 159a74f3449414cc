import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { labelFrontier, lastLabelSegment } from "../../operators/archive/image-labels.js";
import { assertStreamLog, type HeldContent } from "../../operators/archive/stream-log.js";
import { canonicalJson } from "../../schemas/canonical.js";
import { isSluiceError } from "../../schemas/errors.js";
import { DIRECT_LABELS, topicLabels, type ImageLabel } from "../../schemas/image-label.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import type { LogIdentity } from "../../schemas/stream-log.js";
import { assertReaches } from "../flow/log-continues.js";
import { decodeLabel } from "../../schemas/wire/labels.js";

export interface LabelsPlace {
  readonly log: Log;
  readonly store: Store;
  /** Of the images that labels are about */
  readonly stream: string;
  readonly topics: { readonly labels: string };
}

/** Throws E_LOG_RECREATED where the labels topic is another one than a stream's labels were archived from. */
export async function assertSameLabels(place: LabelsPlace): Promise<LogIdentity> {
  const { log, store, stream, topics } = place;
  const identity = await log.identity(topics.labels);
  await assertStreamLog({ store, stream, log: identity, of: "labels", compare: () => heldLabels(place), always: true });
  return identity;
}

/** The same, and where it ends below what is archived of it. */
export async function assertLabelsContinue(place: LabelsPlace): Promise<void> {
  const { log, store, stream, topics } = place;
  const { id } = await assertSameLabels(place);
  const ends = await log.ends(topics.labels);
  for (const [partition, chainEnd] of await labelEnds(store, stream))
    // As of the images topic: adopted with fewer partitions
    if (id === null || partition < ends.length)
      await assertReaches(log, { stream: topics.labels, partition, chainEnd }, ends[partition]?.end ?? 0);
}

/** Of each partition of the topic, where its archived labels end. */
export async function labelEnds(store: Store, stream: string): Promise<Map<number, number>> {
  const ends = await labelFrontier(store, stream);
  const own = ends.filter(({ partition }) => partition !== DIRECT_LABELS);
  return new Map(own.map(({ partition, end }) => [partition - topicLabels(0), end]));
}

/** Whether the labels topic has at archived offsets what was archived of them: the last label of each partition tells. */
export async function heldLabels({ log, store, stream, topics }: LabelsPlace): Promise<HeldContent> {
  const ends = await log.ends(topics.labels);
  let seen: HeldContent = { what: "none", place: null };
  for (const partition of (await labelEnds(store, stream)).keys()) {
    const segment = await lastLabelSegment(store, stream, topicLabels(partition));
    const { start = 0, end = 0 } = ends[partition] ?? {};
    const last = segment?.labels.at(-1);
    if (segment === null || last === undefined) continue;
    const offsets = Array.from({ length: segment.end - segment.start }, (_, at) => segment.start + at);
    const within = offsets.filter((offset) => offset >= start && offset < end);
    const told = (await log.fetch(topics.labels, partition, within)).flatMap((record) => {
      const label = labelOf(record, topics.labels, partition);
      return label === null ? [] : [{ offset: record.offset, label }];
    });
    const newest = told.at(-1);
    const place = `${topics.labels}/${partition}/${newest?.offset ?? segment.end - 1}`;
    if (newest === undefined) {
      if (seen.what === "none") seen = { what: "none", place };
    } else if (canonicalJson(newest.label) === canonicalJson(last)) seen = { what: "same", place };
    // The end of it may be gone while what is left is the same.
    else if (within.at(-1) === segment.end - 1) return { what: "other", place };
  }
  return seen;
}

function labelOf(record: StoredRecord, topic: string, partition: number): ImageLabel | null {
  try {
    return decodeLabel(record, { topic, partition });
  } catch (error) {
    if (!isSluiceError(error, "E_RECORD_SCHEMA")) throw error;
    return null;
  }
}
