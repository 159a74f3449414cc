import { setImmediate } from "node:timers/promises";
import {
  Field,
  Float64,
  Int32,
  Int64,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMillisecond,
  Utf8,
  makeData,
  vectorFromArray,
  type DataType,
} from "apache-arrow";
import { IndexFile } from "../../operators/version/index-writer.js";
import type { Cut } from "../../schemas/chosen-rows.js";
import { INDEX_COLUMNS, type IndexRow } from "../../schemas/index-row.js";
import { chosenImage } from "./chosen-image.js";
import { indexRow, type IndexColumns } from "../versions/index-reader.js";

export const ROW_FORMATS = ["json", "arrow", "parquet"] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

export const ROW_TYPES: Readonly<Record<RowFormat, string>> = {
  json: "application/json; charset=utf-8",
  arrow: "application/vnd.apache.arrow.stream",
  parquet: "application/vnd.apache.parquet",
};

/** The rows of a version in groups, as its index has them. */
export async function* groupsOfVersion(groups: AsyncIterable<IndexColumns>): AsyncGenerator<IndexRow[]> {
  for await (const columns of groups) yield Array.from({ length: columns.count }, (_, row) => indexRow(columns, row));
}

/** The rows that a version made of a cut would have. `bytes` says whether the image's bytes can be had, as of its archived row. */
export async function* groupsOfCut(made: Cut): AsyncGenerator<IndexRow[]> {
  for await (const rows of made.classes) {
    yield Array.from({ length: rows.count }, (_, row) => ({
      class: rows.class,
      label: made.labels[rows.class]!,
      rank: row + 1,
      ...chosenImage(rows, row),
      shard: null,
      repeat: rows.repeat[row]!,
      by: rows.byLabel?.[row] === 1 ? "label" : "teacher",
    }));
  }
}

/** The rows in a format, a chunk at a time. */
export function exportedRows(groups: AsyncIterable<IndexRow[]>, format: RowFormat): AsyncIterable<Uint8Array> {
  if (format === "json") return jsonRows(groups);
  return format === "arrow" ? arrowRows(groups) : parquetRows(groups);
}

/** One array of objects, named as the index's columns. */
async function* jsonRows(groups: AsyncIterable<IndexRow[]>): AsyncGenerator<Uint8Array> {
  let before = "[";
  for await (const rows of groups) {
    if (rows.length === 0) continue;
    yield Buffer.from(before + rows.map((row) => JSON.stringify(columnValues(row))).join(",\n"));
    before = ",\n";
  }
  yield Buffer.from(before === "[" ? "[]\n" : "]\n");
}

function columnValues(row: IndexRow): Record<string, unknown> {
  return Object.fromEntries(
    INDEX_COLUMNS.map(({ name }) => [
      name,
      name === "event_time" ? new Date(row.eventTimeMs).toISOString() : valueOf(row, name),
    ]),
  );
}

type ColumnName = (typeof INDEX_COLUMNS)[number]["name"];

function valueOf(row: IndexRow, name: ColumnName): string | number | null {
  if (name === "event_time") return row.eventTimeMs;
  return name === "size_bytes" ? row.sizeBytes : row[name];
}

const ARROW_TYPES: Readonly<Record<(typeof INDEX_COLUMNS)[number]["type"], () => DataType>> = {
  INT32: () => new Int32(),
  STRING: () => new Utf8(),
  DOUBLE: () => new Float64(),
  INT64: () => new Int64(),
  TIMESTAMP: () => new TimestampMillisecond("UTC"),
};

async function* arrowRows(groups: AsyncIterable<IndexRow[]>): AsyncGenerator<Uint8Array> {
  const schema = new Schema(
    INDEX_COLUMNS.map((column) => new Field(column.name, ARROW_TYPES[column.type](), "nullable" in column)),
  );
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  const chunks = writer[Symbol.asyncIterator]();
  let coming: Promise<IteratorResult<Uint8Array>> | null = null;
  /** What has been written by now: the next rows are read once it is taken. */
  async function* written(): AsyncGenerator<Uint8Array> {
    for (;;) {
      coming ??= chunks.next();
      const next = await Promise.race([coming, setImmediate(null)]);
      if (next === null) return;
      coming = null;
      if (next.done === true) return;
      yield next.value;
    }
  }
  for await (const rows of groups) {
    const children = schema.fields.map((field, at) => {
      const { name, type } = INDEX_COLUMNS[at]!;
      const values = rows.map((row) => {
        const value = valueOf(row, name);
        return type === "INT64" ? BigInt(value as number) : value;
      });
      const [column] = vectorFromArray(values, field.type as Utf8).data;
      return column ?? makeData({ type: field.type as Utf8, length: 0 });
    });
    const struct = makeData({ type: new Struct(schema.fields), length: rows.length, nullCount: 0, children });
    writer.write(new RecordBatch(schema, struct));
    yield* written();
  }
  writer.finish();
  yield* written();
}

async function* parquetRows(groups: AsyncIterable<IndexRow[]>): AsyncGenerator<Uint8Array> {
  const file = new IndexFile();
  for await (const rows of groups) {
    if (rows.length === 0) continue;
    const columnData = INDEX_COLUMNS.map(({ name, type }) => ({
      name,
      data: rows.map((row) => {
        const value = valueOf(row, name);
        return type === "INT64" || type === "TIMESTAMP" ? BigInt(value as number) : value;
      }),
    }));
    yield file.write(columnData, rows.length);
  }
  yield file.finish();
}
