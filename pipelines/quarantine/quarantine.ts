import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import type { ErrorCode } from "../../schemas/errors.js";
import type { ChainName } from "../../schemas/keys.js";
import {
  decodeImageRecord,
  encodeImageRecord,
  type ImageRecord,
  type StoredRecord,
} from "../../schemas/image-record.js";
import type { QuarantineCounts } from "../../schemas/run.js";
import type { Rejected } from "../../schemas/segment.js";

export interface Quarantined extends Rejected {
  readonly stream: string;
  readonly partition: number;
}

export interface QuarantineFilter {
  /** Only these codes */
  readonly codes?: readonly ErrorCode[];
  /** Only this digest or uri */
  readonly match?: string;
}

/**
 * The records that are in quarantine under a teacher now: refused, and not taken up again since. A record that was
 * retried and refused again is listed once, at its last offset. In the order of (partition, offset).
 */
export async function* listQuarantine(
  store: Store,
  place: { teacher: string; stream: string },
  filter: QuarantineFilter = {},
): AsyncGenerator<Quarantined, void, undefined> {
  // A record may be refused in one chain and taken up again in another of its partition, at a later offset.
  const byPartition = new Map<number, ChainName[]>();
  const archive = new ArchiveReader(store, place);
  for (const chain of await archive.chains()) {
    byPartition.set(chain.partition, [...(byPartition.get(chain.partition) ?? []), chain]);
  }
  for (const [partition, chains] of byPartition) {
    const open = new Map<number, Rejected>();
    for (const chain of chains)
      // A gap is `verify`'s and `rebuild`'s to report.
      for await (const { rejected, retried } of archive
        .chain(chain)
        .headers(chain.origin, undefined, () => undefined)) {
        for (const one of rejected) {
          if (one.retryOf !== null) open.delete(one.retryOf);
          open.set(one.offset, one);
        }
        for (const offset of retried) open.delete(offset);
      }
    for (const one of open.values()) {
      if (matches(one, filter)) yield { ...one, stream: place.stream, partition };
    }
  }
}

/**
 * How many records `listQuarantine` gives, by code. Of an archive whose records were taken up again in another chain than the one that
 * refused them all are listed; else the newest run of each chain says it, and its tail.
 */
export async function countQuarantine(archive: ArchiveReader): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const add = (code: string, count: number): void => {
    counts[code] = (counts[code] ?? 0) + count;
  };
  const chains: QuarantineCounts[] = [];
  for (const chain of await archive.chains()) chains.push(await archive.chain(chain).quarantined());
  if (chains.some(({ others }) => others > 0)) {
    for await (const { code } of listQuarantine(archive.store, archive.archive)) add(code, 1);
  } else {
    for (const { open } of chains) for (const [code, count] of Object.entries(open)) add(code, count);
  }
  return counts;
}

function matches(one: Rejected, { codes, match }: QuarantineFilter): boolean {
  if (codes !== undefined && !codes.includes(one.code)) return false;
  return match === undefined || one.uri === match || one.sha256 === match;
}

export interface Retried {
  /** Records appended to the log again */
  readonly appended: number;
  /** Records whose bytes are neither in the log nor where their uri points to */
  readonly unavailable: readonly Quarantined[];
}

/**
 * Appends quarantined records to their partitions again, with their first event time and the offset that they retry;
 * scoring takes them like any other. What the log has forgotten is appended by its uri, where that names a place.
 */
export async function retryQuarantined(log: Log, records: AsyncIterable<Quarantined>): Promise<Retried> {
  const byPartition = new Map<number, Quarantined[]>();
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
      else again.push(image);
    }
    if (again.length > 0) await log.append(stream, partition, again.map(encodeImageRecord));
    appended += again.length;
  }
  return { appended, unavailable };
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
