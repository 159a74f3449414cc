import { createRequire } from "node:module";
import { join } from "node:path";
import { RecordBatchStreamWriter, Table, tableFromIPC } from "apache-arrow";
import { fromRecordBatch, scoredSchema, toRecordBatch } from "../../schemas/scored-batch.js";
import type { ScoreFormat } from "./formats.js";

interface WasmTable {
  intoIPCStream(): Uint8Array;
}

interface PropertiesBuilder {
  setCompression(codec: number): PropertiesBuilder;
  setMaxRowGroupSize(rows: number): PropertiesBuilder;
  setCreatedBy(name: string): PropertiesBuilder;
  build(): unknown;
}

/** The part of parquet-wasm 0.8 that is measured; installed beside the bench, no dependency. */
interface ParquetWasm {
  readonly Table: { fromIPCStream(bytes: Uint8Array): WasmTable };
  readonly Compression: Readonly<Record<string, number>>;
  readonly WriterPropertiesBuilder: new () => PropertiesBuilder;
  writeParquet(table: WasmTable, properties: unknown): Uint8Array;
  readParquet(bytes: Uint8Array, options?: { batchSize: number }): WasmTable;
}

/** Arrow into WebAssembly, Parquet out, and back: what the Rust implementation does, and two copies over the border. */
export async function parquetWasmFile(folder: string, codec: "UNCOMPRESSED" | "SNAPPY" | "ZSTD"): Promise<ScoreFormat> {
  const path = createRequire(join(folder, "package.json")).resolve("parquet-wasm");
  const wasm = (await import(path)) as ParquetWasm;
  return {
    write: (segments) => {
      const { topM, count } = segments[0]!.batch;
      const schema = scoredSchema({ topM, classCount: null, embeddingSize: null });
      const table = new Table(
        schema,
        segments.map(({ batch }) => toRecordBatch(batch, schema)),
      );
      const stream = RecordBatchStreamWriter.writeAll(table).toUint8Array(true);
      const properties = new wasm.WriterPropertiesBuilder()
        .setCompression(wasm.Compression[codec]!)
        .setMaxRowGroupSize(count)
        .build();
      return Promise.resolve(wasm.writeParquet(wasm.Table.fromIPCStream(stream), properties));
    },
    read: (bytes, onColumns) => {
      const table = tableFromIPC(wasm.readParquet(bytes, { batchSize: 2048 }).intoIPCStream());
      for (const batch of table.batches) onColumns(listColumns(batch));
      return Promise.resolve();
    },
  };
}

/** Parquet gives lists of any length, where the segments have lists of one. */
function listColumns(batch: Table["batches"][number]) {
  const index = (name: string): number => batch.schema.fields.findIndex((field) => field.name === name);
  const column = (name: string) => batch.data.children[index(name)]!;
  if (!("valueOffsets" in column("classes")) || column("classes").valueOffsets === undefined)
    return fromRecordBatch(batch);
  return {
    offset: column("offset").values as BigInt64Array,
    classes: column("classes").children[0]!.values as Int32Array,
    keys: column("keys").children[0]!.values as Float64Array,
  };
}
