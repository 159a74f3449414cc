import type { Segment } from "../../schemas/segment.js";

/** The columns that a cut reads, one value or `topM` values a row. */
export interface CutColumns {
  readonly offset: BigInt64Array;
  readonly classes: Int32Array;
  readonly keys: Float64Array;
}

/** A way to keep scores in a file of one row group a segment. */
export interface ScoreFormat {
  write(segments: readonly Segment[]): Promise<Uint8Array>;
  /** Every column is read, into typed arrays where it is of numbers; hands on those that a cut looks at. */
  read(file: Uint8Array, onColumns: (columns: CutColumns) => void): Promise<void>;
}

/** By name; `wasm` is the folder of parquet-wasm, for those that need it. */
export const FORMATS: Readonly<Record<string, (wasm: string) => Promise<ScoreFormat>>> = {
  "arrow segments": async () => (await import("./arrow-segments.js")).arrowSegments,
  compacted: async () => (await import("./run-file.js")).runFile,
  "hyparquet-writer, plain": async () => (await import("./hyparquet-file.js")).hyparquetFile("UNCOMPRESSED"),
  "hyparquet-writer, snappy": async () => (await import("./hyparquet-file.js")).hyparquetFile("SNAPPY"),
  "parquetjs-lite, plain": async () => (await import("./parquetjs-file.js")).parquetjsFile("UNCOMPRESSED"),
  "parquetjs-lite, snappy": async () => (await import("./parquetjs-file.js")).parquetjsFile("SNAPPY"),
  "parquet-wasm, plain": async (wasm) => (await import("./parquet-wasm-file.js")).parquetWasmFile(wasm, "UNCOMPRESSED"),
  "parquet-wasm, snappy": async (wasm) => (await import("./parquet-wasm-file.js")).parquetWasmFile(wasm, "SNAPPY"),
  "parquet-wasm, zstd": async (wasm) => (await import("./parquet-wasm-file.js")).parquetWasmFile(wasm, "ZSTD"),
};
