import { createHash } from "node:crypto";
import type { LogRecord, StoredRecord } from "../../../schemas/image-record.js";

/**
 * How a cursor is stored with the records it covers. Kafka appends a batch wholly or not at all, so the truth about a
 * cursor is a header on the last record of each batch that was appended under it. Where to look for those headers is kept
 * in a compacted topic (`CursorNote`): a place is noted there before anything is appended to it.
 */
export const CURSOR_HEADER = "sluice-cursor";

export interface CursorMark {
  readonly name: string;
  /** Of the process that appended */
  readonly owner: string;
  /** Counts the appends under the name */
  readonly append: number;
  /** In this batch */
  readonly records: number;
  /** The cursor, on the last batch of an append; absent on those before */
  readonly value?: string;
}

export interface CursorPlace {
  readonly topic: string;
  readonly partition: number;
  /** Batches under the cursor that `value` does not know of can begin here. */
  readonly from: number;
}

/** What the cursor topic holds under a cursor's name */
export interface CursorNote {
  readonly owner: string;
  /** The count of the append that stored `value`; 0 where nothing was appended yet */
  readonly append: number;
  readonly value: string | null;
  readonly places: readonly CursorPlace[];
}

export function markBatches(
  batches: readonly (readonly LogRecord[])[],
  mark: Omit<CursorMark, "records" | "value"> & { readonly value: string },
): LogRecord[][] {
  return batches.map((batch, index) => {
    const { value, ...common } = mark;
    const ofBatch: CursorMark = {
      ...common,
      records: batch.length,
      ...(index === batches.length - 1 ? { value } : {}),
    };
    return batch.map((record, i) =>
      i === batch.length - 1
        ? { ...record, headers: { ...record.headers, [CURSOR_HEADER]: JSON.stringify(ofBatch) } }
        : record,
    );
  });
}

export function markOf(record: StoredRecord): CursorMark | null {
  const text = record.headers[CURSOR_HEADER];
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as CursorMark;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

/** A record as its producer gave it */
export function withoutMark<Record extends LogRecord>(record: Record): Record {
  if (!(CURSOR_HEADER in record.headers)) return record;
  const headers = Object.fromEntries(Object.entries(record.headers).filter(([name]) => name !== CURSOR_HEADER));
  return { ...record, headers };
}

/** Names a record by all that its producer gave */
export function digestOf({ key, value, headers, timestampMs }: LogRecord): string {
  const hash = createHash("sha256");
  hash.update(
    JSON.stringify([key?.length ?? null, value?.length ?? null, Object.entries(headers).sort(), timestampMs]),
  );
  if (key !== null) hash.update(key);
  if (value !== null) hash.update(value);
  return hash.digest("hex");
}

/** A record of an append that did not come to its end */
export interface Orphan {
  readonly place: string;
  readonly offset: number;
  readonly digest: string;
}

/** What has been appended under a cursor, as found in its places */
export interface CursorState {
  readonly append: number;
  readonly value: string | null;
  /** Whose append stored `value`, where its mark was found */
  readonly owner: string | null;
  /** Where the last append began; null where a note alone tells of it */
  readonly first: number | null;
  /** In log order: the records after `value`'s that are there already */
  readonly orphans: readonly Orphan[];
}

export function placeName({ topic, partition }: { topic: string; partition: number }): string {
  return `${partition} ${topic}`;
}

/** Finds out a cursor's state from its note and from what its places hold from their `from` on. */
export class CursorScan {
  readonly #name: string;
  readonly #orphans = new Map<string, Orphan[]>();
  #append: number;
  #value: string | null;
  #owner: string | null = null;
  #first: number | null = null;

  constructor(name: string, note: CursorNote | null) {
    this.#name = name;
    this.#append = note?.append ?? 0;
    this.#value = note?.value ?? null;
  }

  /** The next records of a place, in log order, whole batches */
  add(place: string, records: readonly StoredRecord[]): void {
    const orphans = this.#orphans.get(place) ?? [];
    this.#orphans.set(place, orphans);
    records.forEach((record, index) => {
      const mark = markOf(record);
      if (mark?.name !== this.#name) return;
      const batch = records.slice(Math.max(0, index + 1 - mark.records), index + 1);
      if (mark.value === undefined) {
        for (const one of batch) orphans.push({ place, offset: one.offset, digest: digestOf(withoutMark(one)) });
        return;
      }
      const first = orphans[0]?.offset ?? batch[0]?.offset ?? null;
      orphans.length = 0;
      if (mark.append <= this.#append) return;
      this.#append = mark.append;
      this.#value = mark.value;
      this.#owner = mark.owner;
      this.#first = first;
    });
  }

  get state(): CursorState {
    const orphans = [...this.#orphans.values()].flat();
    return { append: this.#append, value: this.#value, owner: this.#owner, first: this.#first, orphans };
  }
}

/**
 * How many of the first `records` are there already as the last orphans, and which orphans are left after them. Compared
 * by content: a source that gives other records than before is appended as it is.
 */
export function matchOrphans(
  orphans: readonly Orphan[],
  records: readonly LogRecord[],
): { matched: readonly Orphan[]; left: readonly Orphan[] } {
  const digests = orphans.length === 0 ? [] : records.slice(0, orphans.length).map(digestOf);
  for (let start = 0; start < orphans.length; start++) {
    const matched = orphans.slice(start, start + digests.length);
    if (matched.every(({ digest }, i) => digest === digests[i])) {
      return { matched, left: orphans.slice(start + matched.length) };
    }
  }
  return { matched: [], left: [] };
}
