import { parquetMetadataAsync, parquetRead, type RowGroup } from "hyparquet";
import type { ConditionColumns } from "../../operators/select/row-conditions.js";
import type { Store } from "../../connectors/store/store.js";
import { countText, counted } from "../../schemas/counted.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { INDEX_COLUMNS, type IndexRow } from "../../schemas/index-row.js";
import type { Manifest, ManifestFile } from "../../schemas/manifest.js";
import { publishedIndex, type Named } from "./published-file.js";

/** n rows of the index as columns, ordered by (class, rank). INT64 columns come as bigint, times as Date. */
export interface IndexColumns {
  readonly count: number;
  readonly class: ArrayLike<number>;
  readonly label: ArrayLike<string>;
  readonly rank: ArrayLike<number>;
  readonly sha256: ArrayLike<string>;
  readonly key: ArrayLike<number | null>;
  readonly probability: ArrayLike<number | null>;
  readonly uri: ArrayLike<string>;
  readonly partition: ArrayLike<number>;
  readonly offset: ArrayLike<bigint>;
  readonly event_time: ArrayLike<Date>;
  readonly size_bytes: ArrayLike<bigint>;
  readonly width: ArrayLike<number>;
  readonly height: ArrayLike<number>;
  readonly licence: ArrayLike<string | null>;
  readonly origin: ArrayLike<string | null>;
  readonly notes: ArrayLike<string | null>;
  readonly bytes: ArrayLike<"shard" | "absent">;
  readonly shard: ArrayLike<string | null>;
  readonly repeat: ArrayLike<number>;
  readonly by: ArrayLike<"teacher" | "label">;
}

type IndexColumn = Exclude<keyof IndexColumns, "count">;

/** Columns of the index that conditions on rows are on */
export const CONDITION_COLUMNS = [
  "event_time",
  "size_bytes",
  "width",
  "height",
  "licence",
  "origin",
  "notes",
] as const satisfies readonly IndexColumn[];
export type ConditionFacts = Pick<IndexColumns, (typeof CONDITION_COLUMNS)[number]>;

/** What conditions are on of one row of an index, as of a row of the archive. */
export function conditionColumns(columns: ConditionFacts, row: number): ConditionColumns {
  const { licence, origin, notes } = columns;
  return {
    eventTimeMs: BigInt64Array.of(BigInt(columns.event_time[row]!.getTime())),
    sizeBytes: Uint32Array.of(Number(columns.size_bytes[row]!)),
    width: Uint32Array.of(columns.width[row]!),
    height: Uint32Array.of(columns.height[row]!),
    licence: { get: () => licence[row] ?? null },
    origin: { get: () => origin[row] ?? null },
    notes: { get: () => notes[row] ?? null },
  };
}

/** The same of a row that was read whole. */
export function rowConditions(row: IndexRow): ConditionColumns {
  return {
    eventTimeMs: BigInt64Array.of(BigInt(row.eventTimeMs)),
    sizeBytes: Uint32Array.of(row.sizeBytes),
    width: Uint32Array.of(row.width),
    height: Uint32Array.of(row.height),
    licence: { get: () => row.licence },
    origin: { get: () => row.origin },
    notes: { get: () => row.notes },
  };
}

/** A version's index, a Parquet row group at a time. Throws E_VERSION_CORRUPT, E_STORE_MISSING, E_STORE_IO. */
export async function* readIndexColumns(store: Store, manifest: Manifest): AsyncGenerator<IndexColumns> {
  for (const file of manifest.files) {
    if (file.key.endsWith(".parquet")) yield* readIndexFile(store, manifest, file);
  }
}

/** The same of some columns alone: what is not asked for is not decoded. */
export async function* readSomeColumns<C extends IndexColumn>(
  store: Store,
  manifest: Manifest,
  columns: readonly C[],
): AsyncGenerator<Pick<IndexColumns, C | "count">> {
  for (const file of manifest.files) {
    if (!file.key.endsWith(".parquet")) continue;
    const { groups, read } = await openIndexFile(store, manifest, file, columns);
    for (const number of groups.keys()) yield await read(number);
  }
}

/** A version's index, row by row, ordered by (class, rank). Errors as readIndexColumns. */
export async function* readIndex(store: Store, manifest: Manifest): AsyncGenerator<IndexRow> {
  for await (const columns of readIndexColumns(store, manifest)) {
    for (let row = 0; row < columns.count; row++) yield indexRow(columns, row);
  }
}

/** The rows of one index file. Errors as readIndexColumns. */
export async function* readIndexFile(store: Store, version: Named, file: ManifestFile): AsyncGenerator<IndexColumns> {
  const { groups, read } = await openIndexFile(store, version, file);
  for (const number of groups.keys()) yield await read(number);
}

/** An index file whose row groups can be read in any order. */
export interface IndexFile {
  /** Rows [start, end) of each group */
  readonly groups: readonly { readonly start: number; readonly end: number }[];
  /** A group, or rows [start, end) of it: pages without any of them are not decoded. Errors as readIndexColumns */
  readonly read: (group: number, of?: { readonly start: number; readonly end: number }) => Promise<IndexColumns>;
}

/** An index file that is as it was published; `wanted`: the columns that its groups are read with. Errors as readIndexColumns. */
export async function openIndexFile(
  store: Store,
  version: Named,
  published: ManifestFile,
  wanted: readonly IndexColumn[] = INDEX_COLUMNS.map(({ name }) => name),
): Promise<IndexFile> {
  const { key } = published;
  const file = await publishedIndex(store, version, published);
  const readable = async <T>(read: Promise<T>): Promise<T> => {
    try {
      return await read;
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw new SluiceError(
        "E_VERSION_CORRUPT",
        `Expected an index in Parquet at ${key}, found bytes that do not read as one: ${messageOf(error)}. Restore the object from a copy.`,
        { cause: error, key },
      );
    }
  };
  const metadata = await readable(parquetMetadataAsync(file));
  let row = 0;
  const groups = metadata.row_groups.map(({ num_rows }) => {
    const start = row;
    row += Number(num_rows);
    return { start, end: row };
  });
  const read: IndexFile["read"] = async (group, of) => {
    const rowStart = groups[group]!.start + (of?.start ?? 0);
    const rowEnd = of === undefined ? groups[group]!.end : groups[group]!.start + of.end;
    const columns = new Map<string, ArrayLike<unknown>[]>();
    const isNull = nullColumns(metadata.row_groups[group]!);
    await readable(
      parquetRead({
        file,
        metadata,
        rowStart,
        rowEnd,
        columns: wanted.filter((name) => !isNull.has(name)),
        onChunk: ({ columnName, columnData, rowStart: first, rowEnd: end }) => {
          // The reader gives pages whole.
          const cut = [Math.max(0, rowStart - first), Math.min(end, rowEnd) - first] as const;
          const page = cut[0] === 0 && cut[1] === columnData.length ? columnData : columnData.slice(...cut);
          const pages = columns.get(columnName);
          if (pages === undefined) columns.set(columnName, [page]);
          else pages.push(page);
        },
      }),
    );
    const count = rowEnd - rowStart;
    const whole = wanted.map((name) => {
      if (isNull.has(name)) return [name, new Array<null>(count).fill(null)] as const;
      const pages = columns.get(name) ?? [];
      const column = pages.length === 1 ? pages[0]! : joined(pages);
      if (column.length !== count) {
        throw new SluiceError(
          "E_VERSION_CORRUPT",
          `Expected ${counted(count, "value")} in column "${name}" of ${key}, found ${countText(column.length)}. Restore the object from a copy.`,
          { key },
        );
      }
      return [name, column] as const;
    });
    return { count, ...Object.fromEntries(whole) } as unknown as IndexColumns;
  };
  return { groups, read };
}

/** The pages of a column, one behind the other. */
function joined(pages: readonly ArrayLike<unknown>[]): ArrayLike<unknown> {
  const rows = pages.reduce((sum, { length }) => sum + length, 0);
  if (pages.every((page) => page instanceof Int32Array)) {
    const numbers = new Int32Array(rows);
    let end = 0;
    for (const page of pages) numbers.set(page, (end += page.length) - page.length);
    return numbers;
  }
  const column = new Array<unknown>(rows);
  let at = 0;
  for (const page of pages) for (let row = 0; row < page.length; row++) column[at++] = page[row];
  return column;
}

/** Columns that have nothing in a row group, as it says of itself: of these nothing needs to be decoded. */
function nullColumns({ columns, num_rows: rows }: RowGroup): ReadonlySet<string> {
  const names = columns.flatMap(({ meta_data: chunk }) =>
    chunk?.statistics?.null_count === rows ? [chunk.path_in_schema.join(".")] : [],
  );
  return new Set(names);
}

/** One row of a row group. */
export function indexRow(columns: IndexColumns, row: number): IndexRow {
  return {
    class: columns.class[row]!,
    label: columns.label[row]!,
    rank: columns.rank[row]!,
    sha256: columns.sha256[row]!,
    key: columns.key[row] ?? null,
    probability: columns.probability[row] ?? null,
    uri: columns.uri[row]!,
    partition: columns.partition[row]!,
    offset: Number(columns.offset[row]!),
    eventTimeMs: columns.event_time[row]!.getTime(),
    sizeBytes: Number(columns.size_bytes[row]!),
    width: columns.width[row]!,
    height: columns.height[row]!,
    licence: columns.licence[row] ?? null,
    origin: columns.origin[row] ?? null,
    notes: columns.notes[row] ?? null,
    bytes: columns.bytes[row]!,
    shard: columns.shard[row] ?? null,
    repeat: columns.repeat[row]!,
    by: columns.by[row]!,
  };
}
