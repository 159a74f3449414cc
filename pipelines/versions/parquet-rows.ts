import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A file of a million labels takes some seconds; crafted ones let the reader count for hours. */
const WITHIN_MS = 120_000;

export interface ParquetRowsOptions {
  /** ms after which the file is given up */
  readonly withinMs?: number;
}

/**
 * The rows of somebody's Parquet file, by the names of its columns. It is read in a thread of its own, which can be ended: lengths in a damaged or crafted
 * file keep the reader from ever returning. Throws the reader's error, and TypeError where time or memory ran out.
 */
export async function parquetRows(
  bytes: Uint8Array,
  { withinMs = WITHIN_MS }: ParquetRowsOptions = {},
): Promise<TableRows> {
  const worker = new Worker(new URL("./parquet-rows-worker.js", import.meta.url), {
    workerData: bytes,
    // Its memory's end is a refusal of the file, not the end of this process.
    resourceLimits: { maxOldGenerationSizeMb: 2048 },
  });
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort();
  }, withinMs);
  try {
    const [read] = (await once(worker, "message", { signal: late.signal })) as [ReadRows];
    if ("failed" in read) throw new TypeError(read.failed);
    return read;
  } catch (error) {
    if (late.signal.aborted) throw new TypeError(`it was not read within ${withinMs / 1000} s`, { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** A file's columns, which it has also without rows, and its rows. */
export interface TableRows {
  readonly heads: readonly string[];
  readonly rows: Readonly<Record<string, unknown>>[];
}

/** What the thread answers */
export type ReadRows = TableRows | { readonly failed: string };
