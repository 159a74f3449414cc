import { DIGEST_BYTES, type ScoredBatch, type TextColumn } from "./scored-batch.js";
import type { RowGroupPlace } from "./segment-stub.js";

/** How a column's values lie in a compacted file: as Parquet's PLAIN encoding has them, little-endian. */
export type CompactedKind =
  | "digest"
  | "int32"
  | "int64"
  | "time"
  /** 4 bytes each */
  | "uint8"
  | "uint32"
  | "uint64"
  | "float64"
  /** each with its length, 4 bytes, before it */
  | "text"
  /** the same; the bits that say which rows have one end where the values begin */
  | "optional text"
  | "int32 list"
  | "float32 list"
  | "float64 list";

export interface CompactedColumn {
  /** As in the Arrow segments */
  readonly name: string;
  readonly field: Exclude<keyof ScoredBatch, "count" | "topM">;
  readonly kind: CompactedKind;
}

/** In the order of the Arrow segments' columns. `all_logits` and `embedding` only where they are archived. */
export const COMPACTED_COLUMNS: readonly CompactedColumn[] = [
  { name: "digest", field: "digest", kind: "digest" },
  { name: "partition", field: "partition", kind: "int32" },
  { name: "offset", field: "offset", kind: "int64" },
  { name: "event_time", field: "eventTimeMs", kind: "time" },
  { name: "copied", field: "copied", kind: "uint8" },
  { name: "bytes", field: "bytes", kind: "uint8" },
  { name: "uri", field: "uri", kind: "text" },
  { name: "size_bytes", field: "sizeBytes", kind: "uint32" },
  { name: "width", field: "width", kind: "uint32" },
  { name: "height", field: "height", kind: "uint32" },
  { name: "perceptual_hash", field: "perceptualHash", kind: "uint64" },
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

const WIDEST = 8;

/**
 * The rows of one row group of a compacted file, from its bytes: numbers are views of them, text is decoded when asked
 * for. Throws TypeError where a column does not lie within them.
 */
export function compactedBatch(bytes: Uint8Array, place: RowGroupPlace): ScoredBatch {
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
    uri: text("uri", false),
    sizeBytes: view("size_bytes", Uint32Array),
    width: view("width", Uint32Array),
    height: view("height", Uint32Array),
    perceptualHash: view("perceptual_hash", BigUint64Array),
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
class PlainText implements TextColumn {
  readonly #bytes: Buffer;
  readonly #at: number;
  readonly #rows: number;
  readonly #optional: boolean;
  /** Where each row's value begins, behind its length; made when the first is asked for */
  #starts: Uint32Array | null = null;

  constructor(bytes: Uint8Array, at: number, rows: number, optional: boolean) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
    this.#rows = rows;
    this.#optional = optional;
  }

  get(row: number): string | null {
    if (row < 0 || row >= this.#rows || !this.#has(row)) return null;
    this.#starts ??= this.#walk();
    const start = this.#starts[row]!;
    return this.#bytes.toString("utf8", start, start + this.#bytes.readUInt32LE(start - 4));
  }

  #has(row: number): boolean {
    if (!this.#optional) return true;
    return (this.#bytes[this.#at - Math.ceil(this.#rows / 8) + (row >> 3)]! & (1 << (row & 7))) !== 0;
  }

  #walk(): Uint32Array {
    const starts = new Uint32Array(this.#rows);
    let at = this.#at;
    for (let row = 0; row < this.#rows; row++) {
      if (!this.#has(row)) continue;
      starts[row] = at + 4;
      at += 4 + this.#bytes.readUInt32LE(at);
    }
    return starts;
  }
}
