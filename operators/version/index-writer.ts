import { ByteWriter, ParquetWriter, schemaFromColumnData, type SchemaElement } from "hyparquet-writer";
import { putHashed, type Store } from "../../connectors/store/store.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { INDEX_COLUMNS } from "../../schemas/index-row.js";
import { eachRow, fileNumber, type RowGroup } from "./publish-plan.js";
import { digestText } from "./fetched-images.js";

/** Rows of one Parquet row group: some 10 MB of text and numbers before compression. */
const ROW_GROUP_ROWS = 65_536;
/** Of one column: some 1,000 digests, or 8,000 numbers. A reader of a few rows decodes the pages that they lie in, and no others. */
const PAGE_BYTES = 65_536;

export interface IndexOptions {
  readonly store: Store;
  /** Key of the index's folder, with its closing `/` */
  readonly folder: string;
  readonly labels: readonly string[];
}

/** Without the logical type, readers disagree whether the time is UTC or of no zone. */
export const UTC_MILLISECONDS: SchemaElement = {
  name: "event_time",
  type: "INT64",
  repetition_type: "REQUIRED",
  converted_type: "TIMESTAMP_MILLIS",
  logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
};

/** Writes the index: one Parquet file a group of classes, columns as INDEX_COLUMNS says, ordered by (class, rank). */
export class IndexWriter {
  readonly files: ManifestFile[] = [];
  readonly #options: IndexOptions;

  constructor(options: IndexOptions) {
    this.#options = options;
  }

  /** `shardOf`: number of each row's shard, -1 where the bytes are absent, [rows]. */
  async write(group: RowGroup, shardOf: Int32Array): Promise<void> {
    const { store, folder, labels } = this.#options;
    const key = `${folder}${fileNumber(this.files.length)}.parquet`;
    const written = await putHashed(store, key, indexFile(group, shardOf, labels));
    this.files.push({ key, ...written, rows: group.rows });
  }
}

/** The Parquet schema of an index. */
export function indexFileSchema(): SchemaElement[] {
  return schemaFromColumnData({
    columnData: INDEX_COLUMNS.map((column) => ({
      name: column.name,
      data: [],
      ...(column.type === "TIMESTAMP" ? {} : { type: column.type, nullable: "nullable" in column }),
    })),
    schemaOverrides: { event_time: UTC_MILLISECONDS },
  });
}

type ColumnData = Parameters<ParquetWriter["write"]>[0]["columnData"];

/** An index file in the making: each call gives the bytes that it adds. Equal rows give equal bytes. */
export class IndexFile {
  readonly #bytes = new ByteWriter();
  readonly #parquet = new ParquetWriter({
    writer: this.#bytes,
    schema: indexFileSchema(),
    codec: "SNAPPY",
    createdBy: "sluice",
  });

  /** One row group. */
  write(columnData: ColumnData, rows: number): Uint8Array {
    void this.#parquet.write({ columnData, rowGroupSize: rows, pageSize: PAGE_BYTES });
    return this.#added();
  }

  finish(): Uint8Array {
    void this.#parquet.finish();
    return this.#added();
  }

  #added(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return bytes;
  }
}

/** The bytes of one index file, a row group at a time. */
export function* indexFile(group: RowGroup, shardOf: Int32Array, labels: readonly string[]): Generator<Uint8Array> {
  const file = new IndexFile();
  for (let start = 0; start < group.rows; start += ROW_GROUP_ROWS) {
    const end = Math.min(start + ROW_GROUP_ROWS, group.rows);
    yield file.write(columnsOf(group, start, end, shardOf, labels), end - start);
  }
  yield file.finish();
}

/** The same of rows that were read from one, a row group each. */
export function* indexFileOf(groups: readonly WrittenColumns[]): Generator<Uint8Array> {
  const file = new IndexFile();
  for (const columns of groups) yield file.write(columnDataOf(columns), columns.class.length);
  yield file.finish();
}

type ColumnName = (typeof INDEX_COLUMNS)[number]["name"];
type Column = string[] | (string | null)[] | Int32Array | Float64Array | BigInt64Array;

/** Rows of an index as it is written. */
export interface WrittenColumns extends Record<ColumnName, Column> {
  class: Int32Array;
  label: string[];
  rank: Int32Array;
  sha256: string[];
  /** NaN is written as null */
  key: Float64Array;
  probability: Float64Array;
  uri: string[];
  partition: Int32Array;
  offset: BigInt64Array;
  event_time: BigInt64Array;
  size_bytes: BigInt64Array;
  width: Int32Array;
  height: Int32Array;
  licence: (string | null)[];
  origin: (string | null)[];
  notes: (string | null)[];
  bytes: string[];
  shard: (string | null)[];
  repeat: Int32Array;
  by: string[];
}

/** Text that is different in each row gains nothing from a dictionary; a dictionary of doubles would take -0 for 0. */
const PLAIN: ReadonlySet<ColumnName> = new Set<ColumnName>(["sha256", "uri", "key", "probability"]);

function columnsOf(group: RowGroup, start: number, end: number, shardOf: Int32Array, labels: readonly string[]) {
  const count = end - start;
  const text = (): string[] => new Array<string>(count);
  const optional = (): (string | null)[] => new Array<string | null>(count);
  const columns = {
    class: new Int32Array(count),
    label: text(),
    rank: new Int32Array(count),
    sha256: text(),
    key: new Float64Array(count),
    probability: new Float64Array(count),
    uri: text(),
    partition: new Int32Array(count),
    offset: new BigInt64Array(count),
    event_time: new BigInt64Array(count),
    size_bytes: new BigInt64Array(count),
    width: new Int32Array(count),
    height: new Int32Array(count),
    licence: optional(),
    origin: optional(),
    notes: optional(),
    bytes: text(),
    shard: optional(),
    repeat: new Int32Array(count),
    by: text(),
  } satisfies WrittenColumns;
  const shardNames = new Map<number, string>();
  eachRow(group, start, end, (rows, row, position) => {
    const at = position - start;
    columns.class[at] = rows.class;
    columns.label[at] = labels[rows.class]!;
    columns.rank[at] = row + 1;
    columns.sha256[at] = digestText(rows, row);
    columns.key[at] = rows.keys[row]!;
    columns.probability[at] = rows.probability[row]!;
    columns.uri[at] = rows.uri[row]!;
    columns.partition[at] = rows.partition[row]!;
    columns.offset[at] = BigInt(rows.offset[row]!);
    columns.event_time[at] = BigInt(rows.eventTimeMs[row]!);
    columns.size_bytes[at] = BigInt(rows.sizeBytes[row]!);
    columns.width[at] = rows.width[row]!;
    columns.height[at] = rows.height[row]!;
    columns.licence[at] = rows.licence[row] ?? null;
    columns.origin[at] = rows.origin[row] ?? null;
    columns.notes[at] = rows.notes[row] ?? null;
    const shard = shardOf[position]!;
    columns.bytes[at] = shard < 0 ? "absent" : "shard";
    let name = shardNames.get(shard);
    if (name === undefined && shard >= 0) shardNames.set(shard, (name = `${fileNumber(shard)}.tar`));
    columns.shard[at] = name ?? null;
    columns.repeat[at] = rows.repeat[row]!;
    columns.by[at] = rows.byLabel?.[row] === 1 ? "label" : "teacher";
  });
  return columnDataOf(columns);
}

function withNulls(column: Float64Array): Float64Array | (number | null)[] {
  return column.some(Number.isNaN) ? Array.from(column, (value) => (Number.isNaN(value) ? null : value)) : column;
}

function columnDataOf(columns: WrittenColumns) {
  return INDEX_COLUMNS.map(({ name }) => ({
    name,
    data: name === "key" || name === "probability" ? withNulls(columns[name]) : columns[name],
    ...(PLAIN.has(name) ? { encoding: "PLAIN" as const } : {}),
  }));
}
