import { isDeepStrictEqual } from "node:util";
import { crc32 } from "node:zlib";
import type { ColumnChunk, ParquetType, RowGroup, SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { RUN_COLUMNS, type RunColumn, type RunKind } from "../../schemas/run-columns.js";
import {
  DIGEST_BYTES,
  widthsOf,
  type ScoredBatch,
  type ScoredWidths,
  type TextColumn,
} from "../../schemas/scored-batch.js";
import type { DigestsPlace, RowGroupPlace } from "../../schemas/run.js";
import { DigestIndexBuilder } from "./digest-index.js";
import { recordsOf } from "./row-records.js";

/** Values of 8 bytes are read as views of the file's bytes. */
const ALIGN = 8;

const PHYSICAL: Readonly<Record<RunKind, ParquetType>> = {
  digest: "FIXED_LEN_BYTE_ARRAY",
  int32: "INT32",
  int64: "INT64",
  time: "INT64",
  uint8: "INT32",
  uint32: "INT32",
  float64: "DOUBLE",
  text: "BYTE_ARRAY",
  "optional text": "BYTE_ARRAY",
  "int32 list": "INT32",
  "float32 list": "FLOAT",
  "float64 list": "DOUBLE",
};

/** What a file begins with: Parquet's magic, and padding up to the first row group. */
export const FILE_START: Uint8Array = Buffer.from("PAR1\0\0\0\0");
/** The key of the file's own metadata that says what it is of. */
export const FILE_METADATA = "sluice-run";

/**
 * Makes a Parquet file of batches of one shape, a row group each. Pages are plain and not compressed, one a column, and
 * lie such that a reader who knows where their values begin decodes nothing. Equal batches give equal row groups.
 */
export class RunFile {
  readonly #rowGroups: RowGroup[] = [];
  readonly #widths: ScoredWidths;
  readonly #digests = new DigestIndexBuilder();
  #at = FILE_START.length;

  constructor(first: ScoredBatch) {
    this.#widths = widthsOf(first);
  }

  /** Whether a batch has the columns of this file. */
  fits(batch: ScoredBatch): boolean {
    return isDeepStrictEqual(widthsOf(batch), this.#widths);
  }

  /** The next row group's bytes, those of its rows' records behind them, and where they lie. `first`: where its first segment starts. */
  add(batch: ScoredBatch, first: number): { readonly bytes: Uint8Array; readonly place: RowGroupPlace } {
    const group = rowGroupBytes(batch);
    const { chunks } = group;
    const start = this.#at;
    const end = start + group.bytes.length;
    const notesAt = chunks.find(({ column }) => column.field === "notes")?.valuesAt ?? 0;
    const records = recordsOf(batch, notesAt);
    const place: RowGroupPlace = {
      start,
      end,
      rows: batch.count,
      ...this.#widths,
      columns: Object.fromEntries(chunks.map(({ column, valuesAt }) => [column.name, valuesAt])),
      crc32: crc32(group.bytes),
      // Between two row groups, where readers of Parquet do not look.
      records: { start: end, end: end + records.bytes.length, ...records.place },
    };
    this.#digests.add(batch.digest, first);
    const total = BigInt(chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    this.#rowGroups.push({
      columns: chunks.map((chunk) => columnChunk(chunk, start, batch)),
      total_byte_size: total,
      total_compressed_size: total,
      num_rows: BigInt(batch.count),
    });
    const bytes = Buffer.concat([group.bytes, records.bytes]);
    this.#at += bytes.length;
    return { bytes, place };
  }

  /** What the file ends with, and where in it rows are found by their digests; `of` is kept in its metadata. */
  end(of: object): { readonly bytes: Uint8Array; readonly digests: DigestsPlace } {
    const { entries, directory } = this.#digests.build();
    const directoryAt = this.#at + entries.length;
    const digests: DigestsPlace = {
      start: this.#at,
      directory: directoryAt,
      end: directoryAt + directory.length,
      rows: this.#digests.rows,
      groups: this.#digests.groups,
      crc32: crc32(directory),
    };
    return { bytes: Buffer.concat([entries, directory, this.#footer(of)]), digests };
  }

  #footer(of: object): Uint8Array {
    const writer = new ByteWriter();
    const kvMetadata = [{ key: FILE_METADATA, value: JSON.stringify(of) }];
    const schema = schemaElements(this.#widths);
    const parquet = new ParquetWriter({ writer, schema, codec: "UNCOMPRESSED", kvMetadata, createdBy: "sluice" });
    parquet.row_groups.push(...this.#rowGroups);
    parquet.num_rows = this.#rowGroups.reduce((sum, { num_rows }) => sum + num_rows, 0n);
    void parquet.finish();
    // The writer begins a file of its own; the magic at its start is written already.
    return writer.getBytes().slice(4);
  }
}

function columnsOf({ classCount, embeddingSize }: Omit<ScoredWidths, "topM">): readonly RunColumn[] {
  const absent = [...(classCount === null ? ["allLogits"] : []), ...(embeddingSize === null ? ["embedding"] : [])];
  return RUN_COLUMNS.filter(({ field }) => !absent.includes(field));
}

/** The schema of a run's file. */
export function schemaElements(widths: Omit<ScoredWidths, "topM">): SchemaElement[] {
  const columns = columnsOf(widths);
  return [
    { name: "scores", num_children: columns.length },
    ...columns.flatMap(({ name, kind }): SchemaElement[] => {
      const type = PHYSICAL[kind];
      const required = { name, type, repetition_type: "REQUIRED" } as const;
      switch (kind) {
        case "digest":
          return [{ ...required, type_length: DIGEST_BYTES }];
        case "time":
          // Without the logical type, readers disagree whether the time is UTC or of no zone.
          return [
            {
              ...required,
              converted_type: "TIMESTAMP_MILLIS",
              logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
            },
          ];
        case "uint8":
        case "uint32":
          return [{ ...required, converted_type: `UINT_${Number(kind.slice(4)) as 8 | 32}` }];
        case "text":
        case "optional text":
          return [
            {
              ...required,
              repetition_type: kind === "text" ? "REQUIRED" : "OPTIONAL",
              converted_type: "UTF8",
              logical_type: { type: "STRING" },
            },
          ];
        case "int32 list":
        case "float32 list":
        case "float64 list":
          return [
            {
              name,
              repetition_type: "REQUIRED",
              num_children: 1,
              converted_type: "LIST",
              logical_type: { type: "LIST" },
            },
            { name: "list", repetition_type: "REPEATED", num_children: 1 },
            { name: "element", type, repetition_type: "REQUIRED" },
          ];
        case "int32":
        case "int64":
        case "float64":
          return [required];
      }
    }),
  ];
}

interface Page {
  /** Repetition and definition levels, each behind its length */
  readonly levels: Uint8Array;
  readonly values: Uint8Array;
  readonly valueCount: number;
}

interface Chunk {
  readonly column: RunColumn;
  /** Of its page's header and of its values, from the row group's start */
  readonly at: number;
  readonly valuesAt: number;
  readonly sizeBytes: number;
  readonly valueCount: number;
}

function rowGroupBytes(batch: ScoredBatch): { bytes: Uint8Array; chunks: readonly Chunk[] } {
  const parts: { at: number; bytes: Uint8Array }[] = [];
  const chunks: Chunk[] = [];
  let end = 0;
  for (const column of columnsOf(widthsOf(batch))) {
    const page = pageOf(column, batch);
    const header = pageHeader(page);
    const before = header.length + page.levels.length;
    const at = end + ((ALIGN - ((end + before) % ALIGN)) % ALIGN);
    const valuesAt = at + before;
    parts.push(
      { at, bytes: header },
      { at: at + header.length, bytes: page.levels },
      { at: valuesAt, bytes: page.values },
    );
    end = valuesAt + page.values.length;
    chunks.push({ column, at, valuesAt, sizeBytes: end - at, valueCount: page.valueCount });
  }
  const bytes = new Uint8Array(Math.ceil(end / ALIGN) * ALIGN);
  for (const part of parts) bytes.set(part.bytes, part.at);
  return { bytes, chunks };
}

function pageHeader({ levels, values, valueCount }: Page): Uint8Array {
  const writer = new ByteWriter();
  const sizeBytes = levels.length + values.length;
  writePageHeader(writer, {
    type: "DATA_PAGE",
    uncompressed_page_size: sizeBytes,
    compressed_page_size: sizeBytes,
    // Parquet's is signed.
    crc: crc32(values, crc32(levels)) | 0,
    data_page_header: {
      num_values: valueCount,
      encoding: "PLAIN",
      definition_level_encoding: "RLE",
      repetition_level_encoding: "RLE",
    },
  });
  return writer.getBytes().slice();
}

const NO_LEVELS = new Uint8Array(0);

function pageOf({ field, kind }: RunColumn, batch: ScoredBatch): Page {
  const { count } = batch;
  const column = batch[field];
  if (kind === "text" || kind === "optional text") {
    const texts = Array.from({ length: count }, (_, row) => (column as TextColumn).get(row));
    const levels = kind === "text" ? NO_LEVELS : leveled(bitPacked(count, (row) => texts[row] !== null));
    return { levels, values: textValues(texts), valueCount: count };
  }
  const values = kind === "uint8" ? Uint32Array.from(column as Uint8Array) : (column as Uint32Array);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (!kind.endsWith("list")) return { levels: NO_LEVELS, values: bytes, valueCount: count };
  const length = values.length / count;
  const repetition = leveled(bitPacked(values.length, (index) => index % length !== 0));
  const definition = leveled(Uint8Array.of(...varint(values.length * 2), 1));
  return { levels: Buffer.concat([repetition, definition]), values: bytes, valueCount: values.length };
}

/** Each text in UTF-8 behind its length; null is left out. */
function textValues(texts: readonly (string | null)[]): Uint8Array {
  const encoded = texts.flatMap((text) => {
    if (text === null) return [];
    const length = Buffer.alloc(4);
    const bytes = Buffer.from(text);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(encoded);
}

/** Levels behind their length, as in pages of version 1. */
function leveled(levels: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(levels.length);
  return Buffer.concat([length, levels]);
}

/** Levels of one bit as one bit-packed run of Parquet's hybrid encoding: groups of 8, the first one in the lowest bit. */
function bitPacked(count: number, isSet: (index: number) => boolean): Uint8Array {
  const groups = Math.ceil(count / 8);
  const header = varint(groups * 2 + 1);
  const bytes = new Uint8Array(header.length + groups);
  bytes.set(header);
  for (let index = 0; index < count; index++) {
    if (isSet(index)) bytes[header.length + (index >> 3)]! |= 1 << (index & 7);
  }
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}

function columnChunk({ column, at, sizeBytes, valueCount }: Chunk, start: number, batch: ScoredBatch): ColumnChunk {
  const { name, kind } = column;
  const size = BigInt(sizeBytes);
  const statistics = statisticsOf(column, batch);
  return {
    file_offset: BigInt(start + at),
    meta_data: {
      type: PHYSICAL[kind],
      encodings: ["PLAIN", "RLE"],
      path_in_schema: kind.endsWith("list") ? [name, "list", "element"] : [name],
      codec: "UNCOMPRESSED",
      num_values: BigInt(valueCount),
      total_uncompressed_size: size,
      total_compressed_size: size,
      data_page_offset: BigInt(start + at),
      ...(statistics === undefined ? {} : { statistics }),
    },
  };
}

/** What lets a reader skip row groups that are of another time or place. */
function statisticsOf({ field }: RunColumn, { offset, eventTimeMs }: ScoredBatch) {
  if (field !== "offset" && field !== "eventTimeMs") return undefined;
  const values = field === "offset" ? offset : eventTimeMs;
  let min_value = values[0]!;
  let max_value = min_value;
  for (const value of values) {
    if (value < min_value) min_value = value;
    if (value > max_value) max_value = value;
  }
  return { min_value, max_value, null_count: 0n };
}
