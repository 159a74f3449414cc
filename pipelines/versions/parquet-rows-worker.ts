// The thread of parquet-rows.ts.
import { parentPort, workerData } from "node:worker_threads";
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { messageOf } from "../../schemas/errors.js";
import type { ReadRows } from "./parquet-rows.js";

const bytes = workerData as Uint8Array;
const file = new ArrayBuffer(bytes.length);
new Uint8Array(file).set(bytes);

let read: ReadRows;
try {
  const metadata = await parquetMetadataAsync(file);
  const heads = parquetSchema(metadata).children.map(({ element }) => element.name);
  read = { heads, rows: await parquetReadObjects({ file, metadata }) };
} catch (error) {
  read = { failed: messageOf(error) };
}
parentPort!.postMessage(read);
