import { createRequire } from "node:module";
import { Writable } from "node:stream";
import type { RunKind } from "../../schemas/run-columns.js";
import type { ScoreFormat } from "./formats.js";
import { COLUMNS, flattened, plainValues } from "./plain-columns.js";

interface Field {
  readonly type: string;
  readonly optional?: boolean;
  readonly repeated?: boolean;
  readonly compression: string;
}

/** More of the package (CommonJS, no types) than the product uses. */
interface Parquet {
  readonly ParquetSchema: new (fields: Readonly<Record<string, Field>>) => unknown;
  readonly ParquetWriter: {
    openStream(
      schema: unknown,
      stream: Writable,
    ): Promise<{
      setRowGroupSize(rows: number): void;
      appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
      close(): Promise<void>;
    }>;
  };
  readonly ParquetReader: {
    openBuffer(bytes: Buffer): Promise<{
      getCursor(): { next(): Promise<Readonly<Record<string, unknown>> | null> };
      close(): Promise<void>;
    }>;
  };
}

const TYPES: Readonly<Record<RunKind, string>> = {
  digest: "BYTE_ARRAY",
  int32: "INT32",
  int64: "INT64",
  // It writes timestamps, and fails to read a file with them.
  time: "INT64",
  uint8: "INT32",
  uint32: "INT32",
  float64: "DOUBLE",
  text: "UTF8",
  "optional text": "UTF8",
  "int32 list": "INT32",
  "float32 list": "FLOAT",
  "float64 list": "DOUBLE",
};

/** Row by row, as this package writes and reads. */
export function parquetjsFile(compression: "UNCOMPRESSED" | "SNAPPY"): ScoreFormat {
  const parquet = createRequire(import.meta.url)("parquetjs-lite") as Parquet;
  const field = (kind: RunKind): Field => ({
    type: TYPES[kind],
    compression,
    ...(kind === "optional text" ? { optional: true } : {}),
    ...(kind.endsWith("list") ? { repeated: true } : {}),
  });
  const schema = new parquet.ParquetSchema(Object.fromEntries(COLUMNS.map(({ name, kind }) => [name, field(kind)])));
  return {
    write: async (segments) => {
      const parts: Buffer[] = [];
      const stream = new Writable({
        write: (chunk: Buffer, _, done) => {
          parts.push(Buffer.from(chunk));
          done();
        },
      });
      const writer = await parquet.ParquetWriter.openStream(schema, stream);
      writer.setRowGroupSize(segments[0]!.batch.count);
      for (const { batch } of segments) {
        const columns = COLUMNS.map((column) => {
          const values = plainValues(column, batch);
          return column.kind === "digest" ? values.map((one) => Buffer.from(one as Uint8Array)) : values;
        });
        for (let row = 0; row < batch.count; row++) {
          const cells = COLUMNS.flatMap(({ name }, index) => {
            const value = columns[index]![row];
            if (value === null) return [];
            return [[name, typeof value === "bigint" ? Number(value) : value]];
          });
          await writer.appendRow(Object.fromEntries(cells) as Record<string, unknown>);
        }
      }
      await writer.close();
      return Buffer.concat(parts);
    },
    read: async (bytes, onColumns) => {
      const reader = await parquet.ParquetReader.openBuffer(Buffer.from(bytes));
      const cursor = reader.getCursor();
      const rows: { readonly offset: number; readonly classes: number[]; readonly keys: number[] }[] = [];
      for (let row = await cursor.next(); row !== null; row = await cursor.next())
        rows.push(row as (typeof rows)[number]);
      const topM = rows[0]!.classes.length;
      onColumns({
        offset: BigInt64Array.from(rows, ({ offset }) => BigInt(offset)),
        classes: flattened(
          rows.map(({ classes }) => classes),
          topM,
          new Int32Array(rows.length * topM),
        ),
        keys: flattened(
          rows.map(({ keys }) => keys),
          topM,
          new Float64Array(rows.length * topM),
        ),
      });
      await reader.close();
    },
  };
}
