import type { Log } from "../../connectors/log/log.js";
import type { AskedImage, ImageOpener } from "../../connectors/source/source.js";
import { SluiceError } from "../../schemas/errors.js";
import {
  decodeImageRecord,
  encodeImageRecord,
  type ImageRecord,
  type StoredRecord,
} from "../../schemas/image-record.js";
import { batches } from "../flow/flow.js";
import type { Quarantined } from "./quarantine.js";

export interface Retried {
  /** Records appended to the log again */
  readonly appended: number;
  /** Records whose bytes are neither in the log nor where their uri points to */
  readonly unavailable: readonly Quarantined[];
}

export interface Inlined {
  readonly opener: Pick<ImageOpener, "openMany">;
  /** A larger image goes by reference. */
  readonly maxBytes: number;
}

/** Appended at once */
const APPEND = { max: 8 * 1024 * 1024, maxItems: 512, maxDelayMs: 200 };

/**
 * Appends quarantined records to their partitions again, with their first event time and the offset that they retry;
 * scoring takes them like any other. What the log has forgotten is appended by its uri, where that names a place. Members of tar shards
 * go inside their records, as the tar source has them: each shard is read once here, where scoring would read a packed one for each of its images.
 */
export async function retryQuarantined(
  log: Log,
  records: AsyncIterable<Quarantined>,
  inlined?: Inlined,
): Promise<Retried> {
  const byPartition = new Map<number, Quarantined[]>();
  const members: Again[] = [];
  let appended = 0;
  const unavailable: Quarantined[] = [];
  for await (const one of records) {
    const list = byPartition.get(one.partition) ?? [];
    byPartition.set(one.partition, list);
    list.push(one);
  }
  for (const [partition, list] of byPartition) {
    const { stream } = list[0]!;
    const stored = new Map<number, StoredRecord>();
    for (const record of await log.fetch(
      stream,
      partition,
      list.map(({ offset }) => offset),
    ))
      stored.set(record.offset, record);
    const again: ImageRecord[] = [];
    for (const one of list) {
      const image = imageOf(one, stored.get(one.offset));
      if (image === null) unavailable.push(one);
      else if (inlined !== undefined && image.bytes === null && image.uri.startsWith("tar:"))
        members.push({ stream, partition, image });
      else again.push(image);
    }
    if (again.length > 0) await log.append(stream, partition, again.map(encodeImageRecord));
    appended += again.length;
  }
  if (inlined !== undefined && members.length > 0) appended += await appendMembers(log, members, inlined);
  return { appended, unavailable };
}

interface Again {
  readonly stream: string;
  readonly partition: number;
  readonly image: ImageRecord;
}

async function appendMembers(log: Log, members: readonly Again[], { opener, maxBytes }: Inlined): Promise<number> {
  const asked = members.map(({ image: { uri } }): AskedImage => ({ uri, sizeBytes: maxBytes }));
  async function* opened(): AsyncGenerator<Again> {
    for await (const { at, image } of opener.openMany(asked)) {
      const member = members[at]!;
      // What cannot be read goes by reference: the scorer says what is wrong with it. So does an empty one, as records go.
      const isReadable = !(image instanceof SluiceError) && image.length > 0;
      yield isReadable ? { ...member, image: { ...member.image, bytes: image } } : member;
    }
  }
  const weight = ({ image }: Again): number => 256 + (image.bytes?.length ?? 0);
  for await (const group of batches(opened(), { ...APPEND, weight })) {
    for (const partition of new Set(group.map((one) => one.partition))) {
      const part = group.filter((one) => one.partition === partition);
      await log.append(
        part[0]!.stream,
        partition,
        part.map(({ image }) => encodeImageRecord(image)),
      );
    }
  }
  return members.length;
}

function imageOf(one: Quarantined, record: StoredRecord | undefined): ImageRecord | null {
  const retry = { retryOf: one.offset, eventTimeMs: one.eventTimeMs };
  // A record that breaks the wire format is no image now and will be none then: its producer must send it anew.
  if (one.code === "E_RECORD_SCHEMA") return null;
  if (record !== undefined) {
    return { ...decodeImageRecord(record, one), ...retry };
  }
  if (one.uri.startsWith("log://")) return null;
  return { uri: one.uri, bytes: null, licence: null, origin: null, ...retry };
}
