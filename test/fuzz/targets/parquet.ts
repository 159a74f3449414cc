import { parquetWriteBuffer } from "hyparquet-writer";
import { foreignLabels, labelFileOf } from "../../../pipelines/versions/label-file.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { mutateBytes, oneOf } from "../mutate.js";

/** Crafted lengths let the reader count for hours; a file of this size is read in milliseconds. */
const WITHIN_MS = 3000;

type Codec = "SNAPPY" | "UNCOMPRESSED";

function labelFile(codec: Codec): Uint8Array {
  const rows = Array.from({ length: 50 }, (_, at) => at);
  return new Uint8Array(
    parquetWriteBuffer({
      codec,
      columnData: [
        { name: "sha256", data: rows.map((at) => String(at % 10).repeat(64)), type: "STRING" },
        { name: "class", data: rows.map((at) => `class ${at % 3}`), type: "STRING" },
        { name: "timeMs", data: rows.map((at) => at * 1000), type: "DOUBLE" },
      ],
    }),
  );
}

export const PARQUET: FuzzTarget = {
  name: "parquet",
  what: "label files in Parquet",
  extension: "parquet",
  prepare: async () => {
    const corpus = (["SNAPPY", "UNCOMPRESSED"] as const).map(labelFile);
    return {
      make: (next) => mutateBytes(next, oneOf(next, corpus), oneOf(next, corpus)),
      run: async (bytes) => {
        labelFileOf("labels.parquet", bytes);
        await foreignLabels(bytes, "parquet", { where: "labels.parquet", withinMs: WITHIN_MS });
      },
    };
  },
};
