import { sha256Hex } from "../../../schemas/canonical.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import type { ByteTable, LmdbFolder } from "./lmdb-folder.js";
import type { LogBatch, PartitionEnds } from "../log.js";
import { decodeRecord, encodeRecord } from "./record-bytes.js";

interface Bounds extends PartitionEnds {
  /** Stands for (topic, partition) in the records' keys */
  readonly id: number;
}

/** partition id u32, offset u64 (of arrivals: ms u64); big-endian, so that the table's order is the log's */
const KEY_BYTES = 12;
/** id u32 (and 4 bytes of nothing), start f64, end f64 */
const BOUNDS_BYTES = 24;
/** lmdb takes keys of up to 1978 bytes; names may be longer (a cursor named after a path). */
const MAX_NAME_BYTES = 1024;
const NEXT_ID = Buffer.from("next id");

/** The log's tables: records by (partition, offset), and beside them what is known of each partition by name. */
export class PartitionTable {
  readonly #folder: LmdbFolder;
  readonly #meta: ByteTable;
  readonly #records: ByteTable;
  /**
   * When records came: (partition id, ms) to the first offset of that ms. null in a log that is only looked at and was
   * written before there was such a table.
   */
  readonly #arrivals: ByteTable | null;
  readonly #nowMs: () => number;

  constructor(
    folder: LmdbFolder,
    tables: { readonly meta: ByteTable; readonly records: ByteTable; readonly arrivals: ByteTable | null },
    nowMs: () => number,
  ) {
    this.#folder = folder;
    this.#meta = tables.meta;
    this.#records = tables.records;
    this.#arrivals = tables.arrivals;
    this.#nowMs = nowMs;
  }

  /** How many partitions the topic has. Throws E_LOG_IO where it does not exist. */
  partitions(topic: string): number {
    const count = this.#count(topic);
    if (count === null) throw this.#unknown(topic);
    return count;
  }

  #count(topic: string): number | null {
    const found = this.#meta.get(name("topic", topic));
    return found === undefined ? null : found.readUInt32LE(0);
  }

  /** In a write transaction. */
  createTopic(topic: string, partitions: number): void {
    const existing = this.#count(topic);
    if (existing !== null && existing >= partitions) return;
    if (existing !== null) {
      throw new SluiceError(
        "E_LOG_IO",
        `Expected topic "${topic}" in ${this.#folder.folder} to have ${partitions} partitions, found ${existing}. ` +
          "Set the number back, or start with another folder: partitions are not added to an embedded log.",
      );
    }
    const firstId = this.#meta.get(NEXT_ID)?.readUInt32LE(0) ?? 0;
    void this.#meta.put(NEXT_ID, uint32(firstId + partitions));
    void this.#meta.put(name("topic", topic), uint32(partitions));
    for (let partition = 0; partition < partitions; partition++) {
      this.#setBounds(topic, partition, { id: firstId + partition, start: 0, end: 0 });
    }
  }

  /** Throws E_LOG_IO where there is no such partition. */
  bounds(topic: string, partition: number): Bounds {
    const found = this.#meta.get(name("bounds", topic, partition));
    if (found === undefined) {
      throw this.#count(topic) === null
        ? this.#unknown(topic)
        : new SluiceError(
            "E_LOG_IO",
            `Expected a partition below ${this.partitions(topic)} of topic "${topic}", found ${partition}.`,
          );
    }
    return { id: found.readUInt32LE(0), start: found.readDoubleLE(8), end: found.readDoubleLE(16) };
  }

  #setBounds(topic: string, partition: number, { id, start, end }: Bounds): void {
    const bytes = Buffer.alloc(BOUNDS_BYTES);
    bytes.writeUInt32LE(id, 0);
    bytes.writeDoubleLE(start, 8);
    bytes.writeDoubleLE(end, 16);
    void this.#meta.put(name("bounds", topic, partition), bytes);
  }

  /** In a write transaction; returns the first record's offset. `encoded` come from `encodeRecord`. */
  append(topic: string, partition: number, encoded: readonly Buffer[]): number {
    const bounds = this.bounds(topic, partition);
    if (encoded.length > 0) this.#noteArrival(bounds);
    for (let i = 0; i < encoded.length; i++) void this.#records.put(keyOf(bounds.id, bounds.end + i), encoded[i]!);
    this.#setBounds(topic, partition, { ...bounds, end: bounds.end + encoded.length });
    return bounds.end;
  }

  /** A clock that was set back gives the later records the time of the last one before: times never fall along a partition. */
  #noteArrival({ id, end }: Bounds): void {
    const now = Math.max(0, Math.floor(this.#nowMs()));
    const newest = { start: keyOf(id, Number.MAX_SAFE_INTEGER), end: keyOf(id, 0), reverse: true, limit: 1 };
    const [last] = this.#arrivals?.getKeys(newest) ?? [];
    if (last === undefined || offsetOf(last) < now) void this.#arrivals?.put(keyOf(id, now), float64(end));
  }

  /**
   * The first offset that came at or after a time, ms; the end where none did. Records from before there was a table of
   * arrivals count as older than any time.
   */
  offsetAt(topic: string, partition: number, timeMs: number): number {
    const { id, start, end } = this.bounds(topic, partition);
    const range = { start: keyOf(id, Math.max(0, Math.ceil(timeMs))), end: keyOf(id + 1, 0), limit: 1 };
    const [found] = this.#arrivals?.getRange(range) ?? [];
    return found === undefined ? end : Math.max(start, found.value.readDoubleLE(0));
  }

  /** All arrivals but the last one of those at or before the first record that is left. */
  #forgetArrivals(id: number, start: number): void {
    let before: Buffer | null = null;
    for (const { key, value } of this.#arrivals?.getRange({ start: keyOf(id, 0), end: keyOf(id + 1, 0) }) ?? []) {
      if (value.readDoubleLE(0) > start) return;
      if (before !== null) void this.#arrivals?.remove(before);
      before = key;
    }
  }

  /** In a write transaction: forgets at most `most` records before `before`; whether any are left to forget. */
  truncate(topic: string, partition: number, before: number, most: number): boolean {
    const bounds = this.bounds(topic, partition);
    const target = Math.min(before, bounds.end);
    if (target <= bounds.start) return false;
    const keys = [
      ...this.#records.getKeys({ start: keyOf(bounds.id, bounds.start), end: keyOf(bounds.id, target), limit: most }),
    ];
    for (const key of keys) void this.#records.remove(key);
    const done = keys.length < most;
    const start = done ? target : offsetOf(keys.at(-1)!) + 1;
    this.#setBounds(topic, partition, { ...bounds, start });
    if (done) this.#forgetArrivals(bounds.id, start);
    return !done;
  }

  /**
   * Records from `position` on and below `limit`: at most `maxRecords`, and `maxBytes` as stored, but always one.
   * null where there are none yet.
   */
  read(
    topic: string,
    partition: number,
    position: number,
    { limit, maxRecords, maxBytes }: { limit: number; maxRecords: number; maxBytes: number },
  ): LogBatch | null {
    const { id, start, end: logEnd } = this.bounds(topic, partition);
    const to = Math.min(limit, logEnd);
    const from = Math.max(position, start);
    if (from >= to) return null;
    const records: StoredRecord[] = [];
    let bytes = 0;
    for (const entry of this.#records.getRange({ start: keyOf(id, from), end: keyOf(id, to), limit: maxRecords })) {
      bytes += entry.value.length;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push(decodeRecord(entry.value, offsetOf(entry.key)));
    }
    const last = records.at(-1);
    return last === undefined ? null : { records, end: last.offset + 1, logEnd };
  }

  /** The record at an offset, or null. */
  at(topic: string, partition: number, offset: number): StoredRecord | null {
    const { id, start, end } = this.bounds(topic, partition);
    if (offset < start || offset >= end) return null;
    const found = this.#records.get(keyOf(id, offset));
    return found === undefined ? null : decodeRecord(found, offset);
  }

  cursor(cursor: string): string | null {
    return this.#meta.get(name("cursor", cursor))?.toString() ?? null;
  }

  /** In a write transaction. */
  setCursor(cursor: string, value: string): void {
    void this.#meta.put(name("cursor", cursor), Buffer.from(value));
  }

  committed(group: string, topic: string, partition: number): number | null {
    return this.#meta.get(name("committed", group, topic, partition))?.readDoubleLE(0) ?? null;
  }

  /** In a write transaction. */
  setCommitted(group: string, topic: string, partition: number, offset: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(offset);
    void this.#meta.put(name("committed", group, topic, partition), bytes);
  }

  #unknown(topic: string): SluiceError {
    return new SluiceError(
      "E_LOG_IO",
      `Expected topic "${topic}" in ${this.#folder.folder}, found none of that name. Create it first (ensureTopic).`,
    );
  }
}

export function encodeRecords(records: readonly LogRecord[]): Buffer[] {
  return records.map(encodeRecord);
}

function keyOf(id: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.writeUInt32BE(id, 0);
  key.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), 4);
  key.writeUInt32BE(offset % 0x1_0000_0000, 8);
  return key;
}

function offsetOf(key: Buffer): number {
  return key.readUInt32BE(4) * 0x1_0000_0000 + key.readUInt32BE(8);
}

function float64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** The key of a named thing: unambiguous whatever the names hold. */
function name(...parts: readonly (string | number)[]): Buffer {
  const text = Buffer.from(JSON.stringify(parts));
  return text.length <= MAX_NAME_BYTES ? text : Buffer.from(JSON.stringify([parts[0], "sha256", sha256Hex(text)]));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
