import { parquetMetadata, parquetRead, type CompressionCodec } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { schemaElements } from "../../operators/archive/run-file.js";
import type { ScoreFormat } from "./formats.js";
import { COLUMNS, flattened, plainValues } from "./plain-columns.js";

/** The same schema through the writer's own encoders and hyparquet's decoders. */
export const hyparquetFile = (codec: CompressionCodec): ScoreFormat => ({
  write: async (segments) => {
    const writer = new ByteWriter();
    const parquet = new ParquetWriter({
      writer,
      schema: schemaElements({ classCount: null, embeddingSize: null }),
      codec,
    });
    for (const { batch } of segments) {
      const columnData = COLUMNS.map((column) => ({
        name: column.name,
        data: plainValues(column, batch),
        // As the others: without it, dictionaries are tried first.
        encoding: "PLAIN" as const,
      }));
      await parquet.write({ columnData, rowGroupSize: batch.count });
    }
    await parquet.finish();
    return writer.getBytes();
  },
  read: async (bytes, onColumns) => {
    const file = Uint8Array.from(bytes).buffer;
    const metadata = parquetMetadata(file);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows);
      const columns = new Map<string, ArrayLike<unknown>>();
      await parquetRead({
        file,
        metadata,
        rowStart,
        rowEnd: rowStart + rows,
        utf8: false,
        onChunk: ({ columnName, columnData }) => columns.set(columnName, columnData),
      });
      const lists = columns.get("classes") as ArrayLike<ArrayLike<number>>;
      const topM = lists[0]!.length;
      onColumns({
        offset: flattened(columns.get("offset")!, 1, new BigInt64Array(rows)),
        classes: flattened(lists, topM, new Int32Array(rows * topM)),
        keys: flattened(columns.get("keys")!, topM, new Float64Array(rows * topM)),
      });
      rowStart += rows;
    }
  },
});
