import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";

type HeaderValue = Buffer | string | null | undefined;

/** A record as the client decodes it. */
export interface RawRecord {
  readonly offset: string;
  /** ms since the epoch */
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;
  /** A transaction's end, no record of anybody */
  readonly isControlRecord: boolean;
  readonly batchContext: {
    readonly firstOffset: string;
    readonly lastOffsetDelta: number;
    readonly producerId: string;
    readonly inTransaction: boolean;
  };
}

export interface AbortedTransaction {
  readonly producerId: string;
  readonly firstOffset: string;
}

/** A control record's key: version i16, type i16. 0: the transaction was aborted. 1: committed. */
function isAbort({ key }: RawRecord): boolean {
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}

/**
 * Those records at or after `from` that are somebody's and committed. `raw` is in log order; a fetched batch may begin
 * before the offset asked for. `aborted` lists each aborted transaction's first offset, ascending.
 */
export function committedRecords(
  raw: readonly RawRecord[],
  aborted: readonly AbortedTransaction[],
  from: number,
): StoredRecord[] {
  const pending = [...aborted].sort((a, b) => Number(a.firstOffset) - Number(b.firstOffset));
  const inAborted = new Set<string>();
  const records: StoredRecord[] = [];
  for (const record of raw) {
    const offset = Number(record.offset);
    const { producerId, inTransaction } = record.batchContext;
    while (pending.length > 0 && Number(pending[0]!.firstOffset) <= offset) inAborted.add(pending.shift()!.producerId);
    if (record.isControlRecord) {
      if (isAbort(record)) inAborted.delete(producerId);
    } else if (offset >= from && !(inTransaction && inAborted.has(producerId))) {
      records.push(storedRecord(record));
    }
  }
  return records;
}

/** The offset after everything in `raw`, also after what compaction has left of its last batch; null where it is empty. */
export function endOf(raw: readonly RawRecord[]): number | null {
  const last = raw.at(-1);
  return last === undefined ? null : Number(last.batchContext.firstOffset) + last.batchContext.lastOffsetDelta + 1;
}

function storedRecord({ offset, timestamp, key, value, headers }: RawRecord): StoredRecord {
  const texts: Record<string, string> = {};
  let timestampMs = Number(timestamp);
  for (const [name, found] of Object.entries(headers)) {
    // Kafka lets a header repeat: the last one holds.
    const one = Array.isArray(found) ? (found as readonly HeaderValue[]).at(-1) : (found as HeaderValue);
    const text = one?.toString() ?? "";
    if (name === TIME_HEADER && text !== "" && Number.isFinite(Number(text))) timestampMs = Number(text);
    else Object.defineProperty(texts, name, { value: text, enumerable: true, configurable: true, writable: true });
  }
  return { offset: Number(offset), timestampMs, key, value, headers: texts };
}

/**
 * A record's time, ms since the epoch, when Sluice has appended it. Kafka's own timestamp is then that of the append: a
 * broker judges by it how old a producer is, and forgets one whose last records are more than a day old, and with it what
 * tells a batch that is sent again from a new one. Photographs of last year would so be doubled by a broker's restart.
 * Records of other producers carry no such header: their time is Kafka's timestamp.
 */
const TIME_HEADER = "sluice-timestamp";

/** What the client sends of a record. */
export function outgoing({ key, value, headers, timestampMs }: LogRecord, partition: number, nowMs: number) {
  return {
    partition,
    key: key === null ? null : asBuffer(key),
    value: value === null ? null : asBuffer(value),
    headers: { ...headers, [TIME_HEADER]: String(timestampMs) },
    timestamp: String(nowMs),
  };
}

/** About what a record takes on the wire, before compression */
export function sizeOf({ key, value, headers }: LogRecord): number {
  let bytes = 64 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of Object.entries(headers)) bytes += 8 + Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
