import { randomUUID } from "node:crypto";
import { counted } from "../../../schemas/counted.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";
import { logCorrupt, type CheckedTable } from "./checked-table.js";
import type { LmdbFolder } from "./lmdb-folder.js";
import type { LogBatch, PartitionEnds } from "../log.js";
import { decodeBounds, encodeBounds, keyOf, name, offsetOf, type Bounds } from "./partition-keys.js";
import { decodeRecord, encodeRecord } from "./record-bytes.js";

/** What the log has of a partition. */
export interface HeldRecords extends PartitionEnds {
  /** As stored, of the records from `start` on */
  readonly sizeBytes: number;
  /** When the first of them came into the log, ms since the epoch; null where there is none */
  readonly sinceMs: number | null;
  /** Records below `start` that a truncation has spared */
  readonly spared: number;
}

/** Of an arrival: first offset f64, bytes appended before it f64 */
const ARRIVAL_BYTES = 16;
const NEXT_ID = Buffer.from("next id");

interface Arrival {
  readonly timeMs: number;
  /** First record that came then */
  readonly offset: number;
  /** Appended before it */
  readonly bytesBefore: number;
}

/** What is forgotten of a partition. */
export interface Truncation {
  /** Records below this offset */
  readonly before: number;
  /** But for those at these offsets: `fetch` gives them still */
  readonly spare?: ReadonlySet<number>;
}

export interface LogTables {
  readonly meta: CheckedTable;
  readonly records: CheckedTable;
  /** null in a log that is only looked at, and in which nothing has come yet */
  readonly arrivals: CheckedTable | null;
  readonly spared: CheckedTable | null;
}

/** The log's tables: records by (partition, offset), and beside them what is known of each partition by name. */
export class PartitionTable {
  readonly #folder: LmdbFolder;
  readonly #meta: CheckedTable;
  readonly #records: CheckedTable;
  /** When records came: (partition id, ms) to the first offset of that ms */
  readonly #arrivals: CheckedTable | null;
  /** Records that truncations have spared, under the keys that they had */
  readonly #spared: CheckedTable | null;
  readonly #nowMs: () => number;

  constructor(folder: LmdbFolder, tables: LogTables, nowMs: () => number) {
    this.#folder = folder;
    this.#meta = tables.meta;
    this.#records = tables.records;
    this.#arrivals = tables.arrivals;
    this.#spared = tables.spared;
    this.#nowMs = nowMs;
  }

  /** Of those that were created. */
  topics(): string[] {
    return [...this.#meta.keys({ start: Buffer.from('["topic",'), end: Buffer.from('["topic-') })].flatMap((key) => {
      const topic: unknown = (JSON.parse(key.toString()) as unknown[])[1];
      return typeof topic === "string" ? [topic] : [];
    });
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
        `Expected topic "${topic}" in ${this.#folder.folder} to have ${counted(partitions, "partition")}, found ${existing}. ` +
          "Set the number back, or start with another folder: partitions are not added to an embedded log.",
      );
    }
    const firstId = this.#meta.get(NEXT_ID)?.readUInt32LE(0) ?? 0;
    this.#meta.put(NEXT_ID, uint32(firstId + partitions));
    this.#meta.put(name("topic", topic), uint32(partitions));
    this.#meta.put(name("identity", topic), Buffer.from(randomUUID()));
    for (let partition = 0; partition < partitions; partition++) {
      this.#setBounds(topic, partition, { id: firstId + partition, start: 0, end: 0, appendedBytes: 0 });
    }
  }

  /** Drawn as the topic was made. Throws E_LOG_IO where it does not exist. */
  identity(topic: string): string {
    const found = this.#meta.get(name("identity", topic));
    if (found === undefined) throw this.#unknown(topic);
    return found.toString();
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
    return decodeBounds(found);
  }

  /** In a write transaction, of a partition without records: the next one gets this offset. */
  beginAt(topic: string, partition: number, offset: number): void {
    this.#setBounds(topic, partition, { ...this.bounds(topic, partition), start: offset, end: offset });
  }

  #setBounds(topic: string, partition: number, bounds: Bounds): void {
    this.#meta.put(name("bounds", topic, partition), encodeBounds(bounds));
  }

  /** In a write transaction; returns the first record's offset. `encoded` come from `encodeRecord`. */
  append(topic: string, partition: number, encoded: readonly Buffer[]): number {
    const bounds = this.bounds(topic, partition);
    if (encoded.length > 0) this.#noteArrival(bounds);
    let appendedBytes = bounds.appendedBytes;
    for (let i = 0; i < encoded.length; i++) {
      this.#records.put(keyOf(bounds.id, bounds.end + i), encoded[i]!);
      appendedBytes += encoded[i]!.length;
    }
    this.#setBounds(topic, partition, { ...bounds, end: bounds.end + encoded.length, appendedBytes });
    return bounds.end;
  }

  /** After a clock that was set back records follow on the time of the last one before, a millisecond apart: times never fall along a partition. */
  #noteArrival({ id, end, appendedBytes }: Bounds): void {
    const now = Math.max(0, Math.floor(this.#nowMs()));
    const newest = { start: keyOf(id, Number.MAX_SAFE_INTEGER), end: keyOf(id, 0), reverse: true, limit: 1 };
    const [last] = this.#arrivals?.keys(newest) ?? [];
    const lastMs = last === undefined ? -1 : offsetOf(last);
    if (lastMs === now) return;
    const arrival = Buffer.alloc(ARRIVAL_BYTES);
    arrival.writeDoubleLE(end, 0);
    arrival.writeDoubleLE(appendedBytes, 8);
    this.#arrivals?.put(keyOf(id, Math.max(now, lastMs + 1)), arrival);
  }

  /** The first offset that came at or after a time, ms; the end where none did. */
  offsetAt(topic: string, partition: number, timeMs: number): number {
    const { id, start, end } = this.bounds(topic, partition);
    const range = { start: keyOf(id, Math.max(0, Math.ceil(timeMs))), end: keyOf(id + 1, 0), limit: 1 };
    const [found] = this.#arrivals?.entries(range) ?? [];
    return found === undefined ? end : Math.max(start, found.value.readDoubleLE(0));
  }

  /** The first offset from which on the partition holds at most so many bytes; between two, records came together. */
  offsetWithin(topic: string, partition: number, sizeBytes: number): number {
    const { start, end, appendedBytes } = this.bounds(topic, partition);
    let within = end;
    for (const arrival of this.#arrivalsOf(topic, partition)) {
      if (appendedBytes - arrival.bytesBefore > sizeBytes) continue;
      within = arrival.offset;
      break;
    }
    return Math.min(Math.max(within, start), end);
  }

  held(topic: string, partition: number): HeldRecords {
    const { id, start, end, appendedBytes } = this.bounds(topic, partition);
    let sizeBytes = 0;
    let sinceMs: number | null = null;
    if (end > start) {
      // The newest arrival at or before the first record: what came with it and was cut is counted as held.
      for (const arrival of this.#arrivalsOf(topic, partition)) {
        if (arrival.offset > start && sinceMs !== null) break;
        sizeBytes = appendedBytes - arrival.bytesBefore;
        sinceMs = arrival.timeMs;
      }
    }
    const spared = [...(this.#spared?.keys({ start: keyOf(id, 0), end: keyOf(id + 1, 0) }) ?? [])].length;
    return { start, end, sizeBytes, sinceMs, spared };
  }

  /** From the one that the first record came with, ascending. */
  *#arrivalsOf(topic: string, partition: number): Generator<Arrival, void, undefined> {
    const { id } = this.bounds(topic, partition);
    for (const { key, value } of this.#arrivals?.entries({ start: keyOf(id, 0), end: keyOf(id + 1, 0) }) ?? [])
      yield { timeMs: offsetOf(key), offset: value.readDoubleLE(0), bytesBefore: value.readDoubleLE(8) };
  }

  /** All arrivals but the last one of those at or before the first record that is left. */
  #forgetArrivals(id: number, start: number): void {
    let before: Buffer | null = null;
    for (const { key, value } of this.#arrivals?.entries({ start: keyOf(id, 0), end: keyOf(id + 1, 0) }) ?? []) {
      if (value.readDoubleLE(0) > start) return;
      if (before !== null) this.#arrivals?.remove(before);
      before = key;
    }
  }

  /** In a write transaction: forgets at most `most` records before `before`; whether any are left to forget. */
  truncate(topic: string, partition: number, { before, spare }: Truncation, most: number): boolean {
    const bounds = this.bounds(topic, partition);
    const target = Math.min(before, bounds.end);
    if (target <= bounds.start) return false;
    const range = { start: keyOf(bounds.id, bounds.start), end: keyOf(bounds.id, target), limit: most };
    const keys = [...this.#records.keys(range)];
    for (const key of keys) {
      if (spare?.has(offsetOf(key)) === true) {
        const record = this.#records.get(key);
        if (record !== undefined) this.#spared?.put(key, record);
      }
      this.#records.remove(key);
    }
    const done = keys.length < most;
    const start = done ? target : offsetOf(keys.at(-1)!) + 1;
    this.#setBounds(topic, partition, { ...bounds, start });
    if (done) this.#forgetArrivals(bounds.id, start);
    return !done;
  }

  /** In a write transaction: what was spared of these offsets goes as well. */
  forgetSpared(topic: string, partition: number, offsets: Iterable<number>): void {
    const { id } = this.bounds(topic, partition);
    for (const offset of offsets) this.#spared?.remove(keyOf(id, offset));
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
    for (const { key, value } of this.#records.entries({
      start: keyOf(id, from),
      end: keyOf(id, to),
      limit: maxRecords,
    })) {
      bytes += value.length;
      if (records.length > 0 && bytes > maxBytes) break;
      const offset = offsetOf(key);
      if (offset !== from + records.length) throw this.#absent(topic, partition, from + records.length);
      records.push(decodeRecord(value, offset));
    }
    if (records.length === 0) throw this.#absent(topic, partition, from);
    return { records, end: from + records.length, logEnd };
  }

  /** Offsets from the start to the end have a record each: one that has none was lost to damage. */
  #absent(topic: string, partition: number, offset: number): SluiceError {
    return logCorrupt(this.#folder.folder, `the record at offset ${offset} of ${topic}/${partition} is not in it`);
  }

  /** The record at an offset, or null; also one that a truncation has spared. */
  at(topic: string, partition: number, offset: number): StoredRecord | null {
    const { id, end } = this.bounds(topic, partition);
    if (offset < 0 || offset >= end) return null;
    const found = this.#records.get(keyOf(id, offset)) ?? this.#spared?.get(keyOf(id, offset));
    return found === undefined ? null : decodeRecord(found, offset);
  }

  cursor(cursor: string): string | null {
    return this.#meta.get(name("cursor", cursor))?.toString() ?? null;
  }

  /** In a write transaction. */
  setCursor(cursor: string, value: string): void {
    this.#meta.put(name("cursor", cursor), Buffer.from(value));
  }

  committed(group: string, topic: string, partition: number): number | null {
    return this.#meta.get(name("committed", group, topic, partition))?.readDoubleLE(0) ?? null;
  }

  /** In a write transaction. */
  setCommitted(group: string, topic: string, partition: number, offset: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(offset);
    this.#meta.put(name("committed", group, topic, partition), bytes);
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

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
