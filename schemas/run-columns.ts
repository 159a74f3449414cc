import { PDQ_BYTES } from "./pdq-hash.js";
import { DIGEST_BYTES, type ScoredBatch, type TextColumn, type Utf8Values } from "./scored-batch.js";
import type { RowGroupPlace } from "./run.js";

/** How a column's values lie in a run's file: as Parquet's PLAIN encoding has them, little-endian. */
export type RunKind =
  /** 32 bytes */
  | "digest"
  | "int32"
  | "int64"
  | "time"
  /** 4 bytes each */
  | "uint8"
  | "uint32"
  | "float64"
  /** each with its length, 4 bytes, before it */
  | "text"
  /** the same; the bits that say which rows have one end where the values begin */
  | "optional text"
  | "int32 list"
  | "float32 list"
  | "float64 list";

export interface RunColumn {
  /** As in the Arrow segments */
  readonly name: string;
  readonly field: Exclude<keyof ScoredBatch, "count" | "topM">;
  readonly kind: RunKind;
}

/** In the order of the Arrow segments' columns. `all_logits` and `embedding` only where they are archived. */
export const RUN_COLUMNS: readonly RunColumn[] = [
  { name: "digest", field: "digest", kind: "digest" },
  { name: "partition", field: "partition", kind: "int32" },
  { name: "offset", field: "offset", kind: "int64" },
  { name: "event_time", field: "eventTimeMs", kind: "time" },
  { name: "copied", field: "copied", kind: "uint8" },
  { name: "bytes", field: "bytes", kind: "uint8" },
  { name: "pack", field: "pack", kind: "optional text" },
  { name: "uri", field: "uri", kind: "text" },
  { name: "size_bytes", field: "sizeBytes", kind: "uint32" },
  { name: "width", field: "width", kind: "uint32" },
  { name: "height", field: "height", kind: "uint32" },
  { name: "pdq", field: "pdq", kind: "digest" },
  { name: "pdq_quality", field: "pdqQuality", kind: "uint8" },
  { name: "licence", field: "licence", kind: "optional text" },
  { name: "origin", field: "origin", kind: "optional text" },
  { name: "notes", field: "notes", kind: "optional text" },
  { name: "retry_of", field: "retryOf", kind: "int64" },
  { name: "classes", field: "classes", kind: "int32 list" },
  { name: "keys", field: "keys", kind: "float64 list" },
  { name: "logits", field: "logits", kind: "float32 list" },
  { name: "log_sum_exp", field: "logSumExp", kind: "float64" },
  { name: "all_logits", field: "allLogits", kind: "float32 list" },
  { name: "embedding", field: "embedding", kind: "float32 list" },
];

/** Rows [from, to) of a batch, as views. */
export function rowsBetween(batch: ScoredBatch, from: number, to: number): ScoredBatch {
  if (from === 0 && to === batch.count) return batch;
  return mapColumns(batch, to - from, (column, width) => {
    if (isText(column)) return { get: (row) => column.get(from + row) };
    return column.subarray(from * width, to * width);
  });
}

/** The same rows in memory of their own. */
export function copyRows(batch: ScoredBatch): ScoredBatch {
  return mapColumns(batch, batch.count, (column) => {
    if (!isText(column)) return column.slice();
    return new Texts(Array.from({ length: batch.count }, (_, row) => column.get(row)));
  });
}

/** The rows of several batches of the same columns, one after the other. */
export function joinRows(batches: readonly ScoredBatch[]): ScoredBatch {
  const first = batches[0]!;
  if (batches.length === 1) return first;
  const count = batches.reduce((sum, batch) => sum + batch.count, 0);
  return mapColumns(first, count, (column, width, field) => {
    const columns = batches.map((batch) => batch[field]!);
    if (isText(column)) {
      const rows = batches.map((batch) => Array.from({ length: batch.count }, (_, row) => row));
      return new Texts(rows.flatMap((list, index) => list.map((row) => (columns[index] as TextColumn).get(row))));
    }
    const joined = new (column.constructor as new (length: number) => Numbers)(count * width);
    let at = 0;
    for (const one of columns as Numbers[]) {
      joined.set(one as never, at);
      at += one.length;
    }
    return joined;
  });
}

class Texts implements TextColumn {
  readonly #values: readonly (string | null)[];

  constructor(values: readonly (string | null)[]) {
    this.#values = values;
  }

  get(row: number): string | null {
    return this.#values[row] ?? null;
  }
}

type Numbers = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;
type Column = Numbers | TextColumn;

function isText(column: Column): column is TextColumn {
  return !ArrayBuffer.isView(column);
}

/** A batch of `count` rows whose columns are made of another's; `width` is how many values a row has. */
function mapColumns(
  batch: ScoredBatch,
  count: number,
  change: (column: Column, width: number, field: RunColumn["field"]) => Column,
): ScoredBatch {
  const columns = RUN_COLUMNS.map(({ field }) => {
    const column = batch[field];
    return [field, column === null ? null : change(column, isText(column) ? 1 : column.length / batch.count, field)];
  });
  return { count, topM: batch.topM, ...Object.fromEntries(columns) } as ScoredBatch;
}

/** A batch without rows. */
export function noRows(topM: number): ScoredBatch {
  const none: TextColumn = { get: () => null };
  return {
    count: 0,
    topM,
    digest: new Uint8Array(0),
    partition: new Int32Array(0),
    offset: new BigInt64Array(0),
    eventTimeMs: new BigInt64Array(0),
    copied: new Uint8Array(0),
    bytes: new Uint8Array(0),
    pack: none,
    uri: none,
    sizeBytes: new Uint32Array(0),
    width: new Uint32Array(0),
    height: new Uint32Array(0),
    pdq: new Uint8Array(0),
    pdqQuality: new Uint8Array(0),
    licence: none,
    origin: none,
    notes: none,
    retryOf: new BigInt64Array(0),
    classes: new Int32Array(0),
    keys: new Float64Array(0),
    logits: new Float32Array(0),
    logSumExp: new Float64Array(0),
    allLogits: null,
    embedding: null,
  };
}

const WIDEST = 8;

/**
 * The rows of one row group of a run's file, from its bytes: numbers are views of them, text is decoded when asked
 * for. Throws TypeError where a column does not lie within them.
 */
export function rowGroupBatch(bytes: Uint8Array, place: RowGroupPlace): ScoredBatch {
  const held = bytes.byteOffset % WIDEST === 0 ? bytes : Uint8Array.from(bytes);
  const { rows, topM, classCount, embeddingSize } = place;
  const at = (name: string): number => {
    const start = place.columns[name];
    if (start === undefined) throw new TypeError(`a row group has a column "${name}", this one has none`);
    return start;
  };
  const view = <T>(
    name: string,
    type: { new (buffer: ArrayBufferLike, start: number, length: number): T; readonly BYTES_PER_ELEMENT: number },
    length = rows,
  ): T => {
    const start = at(name);
    if (start % type.BYTES_PER_ELEMENT !== 0 || start + length * type.BYTES_PER_ELEMENT > held.length) {
      throw new TypeError(`${length} values of column "${name}" do not lie at byte ${start} of ${held.length}`);
    }
    return new type(held.buffer, held.byteOffset + start, length);
  };
  const text = (name: string, optional: boolean): TextColumn => new PlainText(held, at(name), rows, optional);
  return {
    count: rows,
    topM,
    digest: view("digest", Uint8Array, rows * DIGEST_BYTES),
    partition: view("partition", Int32Array),
    offset: view("offset", BigInt64Array),
    eventTimeMs: view("event_time", BigInt64Array),
    copied: lowBytes(view("copied", Uint32Array)),
    bytes: lowBytes(view("bytes", Uint32Array)),
    pack: text("pack", true),
    uri: text("uri", false),
    sizeBytes: view("size_bytes", Uint32Array),
    width: view("width", Uint32Array),
    height: view("height", Uint32Array),
    pdq: view("pdq", Uint8Array, rows * PDQ_BYTES),
    pdqQuality: lowBytes(view("pdq_quality", Uint32Array)),
    licence: text("licence", true),
    origin: text("origin", true),
    notes: text("notes", true),
    retryOf: view("retry_of", BigInt64Array),
    classes: view("classes", Int32Array, rows * topM),
    keys: view("keys", Float64Array, rows * topM),
    logits: view("logits", Float32Array, rows * topM),
    logSumExp: view("log_sum_exp", Float64Array),
    allLogits: classCount === null ? null : view("all_logits", Float32Array, rows * classCount),
    embedding: embeddingSize === null ? null : view("embedding", Float32Array, rows * embeddingSize),
  };
}

/** Parquet has no integers of one byte. */
function lowBytes(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length);
  for (let row = 0; row < words.length; row++) bytes[row] = words[row]!;
  return bytes;
}

/** Text that lies one value after the other, each behind its length. */
class PlainText implements TextColumn, Utf8Values {
  readonly bytes: Buffer;
  readonly #at: number;
  readonly #rows: number;
  readonly #optional: boolean;
  /** Where each row's value begins, behind its length; made when the first is asked for */
  #starts: Uint32Array | null = null;

  constructor(bytes: Uint8Array, at: number, rows: number, optional: boolean) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
    this.#rows = rows;
    this.#optional = optional;
  }

  get utf8(): Utf8Values {
    return this;
  }

  get(row: number): string | null {
    const start = this.startOf(row);
    return start < 0 ? null : this.bytes.toString("utf8", start, start + this.sizeAt(start));
  }

  startOf(row: number): number {
    if (row < 0 || row >= this.#rows || !this.#has(row)) return -1;
    this.#starts ??= this.#walk();
    return this.#starts[row]!;
  }

  sizeAt(start: number): number {
    const { bytes } = this;
    const size = bytes[start - 4]! | (bytes[start - 3]! << 8) | (bytes[start - 2]! << 16) | (bytes[start - 1]! << 24);
    return size >>> 0;
  }

  #has(row: number): boolean {
    if (!this.#optional) return true;
    return (this.bytes[this.#at - Math.ceil(this.#rows / 8) + (row >> 3)]! & (1 << (row & 7))) !== 0;
  }

  #walk(): Uint32Array {
    const starts = new Uint32Array(this.#rows);
    let at = this.#at;
    for (let row = 0; row < this.#rows; row++) {
      if (!this.#has(row)) continue;
      starts[row] = at + 4;
      at += 4 + this.bytes.readUInt32LE(at);
    }
    return starts;
  }
}
