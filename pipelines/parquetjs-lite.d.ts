/** The part of parquetjs-lite 0.8 that is used here; the package (CommonJS) has no types of its own. */
declare module "parquetjs-lite" {
  import type { Writable } from "node:stream";

  interface ParquetField {
    readonly type: "UTF8" | "INT32" | "INT64" | "DOUBLE" | "BOOLEAN" | "TIMESTAMP_MILLIS";
    readonly optional?: boolean;
    readonly compression?: "UNCOMPRESSED" | "GZIP" | "SNAPPY";
  }

  interface ParquetSchema {
    readonly fields: Readonly<Record<string, unknown>>;
  }

  interface ParquetWriter {
    /** Members that are absent are null. Throws strings. */
    appendRow(row: Readonly<Record<string, string | number | Date | undefined>>): Promise<void>;
    /** Writes the footer and ends the stream. */
    close(): Promise<void>;
  }

  const parquet: {
    readonly ParquetSchema: new (fields: Readonly<Record<string, ParquetField>>) => ParquetSchema;
    readonly ParquetWriter: {
      /** Writes the header without waiting for it: a stream that fails there is an unhandled rejection. */
      openStream(schema: ParquetSchema, stream: Writable): Promise<ParquetWriter>;
    };
  };
  export default parquet;
}
