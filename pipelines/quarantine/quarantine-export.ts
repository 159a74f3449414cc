import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { Writable } from "node:stream";
import parquet from "parquetjs-lite";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { Rejected } from "../../schemas/segment.js";

/** A quarantined record with the place of its chain. */
export type QuarantinedRecord = Rejected & { readonly stream: string; readonly partition: number };

const COLUMNS = new parquet.ParquetSchema({
  stream: { type: "UTF8" },
  partition: { type: "INT32" },
  offset: { type: "INT64" },
  code: { type: "UTF8" },
  reason: { type: "UTF8" },
  sha256: { type: "UTF8", optional: true },
  uri: { type: "UTF8" },
  event_time: { type: "TIMESTAMP_MILLIS" },
  retry_of: { type: "INT64", optional: true },
});

/**
 * Writes quarantined records to a Parquet file at `path`, in their order; a file that was there is replaced once the new
 * one is whole. Row by row, which is right where rows are few (some 20,000 a second). Returns the number of rows.
 * Throws E_STORE_IO, and what `rows` throws.
 */
export async function exportQuarantine(rows: AsyncIterable<QuarantinedRecord>, path: string): Promise<number> {
  const partial = `${path}.partial`;
  let file: FileHandle | null = null;
  try {
    file = await written(open(partial, "w"), path);
    const bytes = new FileStream(file);
    const writer = await parquet.ParquetWriter.openStream(COLUMNS, bytes);
    let count = 0;
    for await (const row of rows) {
      await written(writer.appendRow(parquetRow(row)), path);
      if (bytes.failure !== null) break;
      count++;
    }
    await written(writer.close(), path);
    if (bytes.failure !== null) throw ioError(path, bytes.failure);
    await written(file.sync(), path);
    await file.close();
    await written(rename(partial, path), path);
    return count;
  } catch (error) {
    // What failed first is said.
    await Promise.allSettled([file?.close()]);
    await rm(partial, { force: true });
    throw error;
  }
}

/** Keeps the first failure instead of raising it: parquetjs-lite does not wait for all that it writes. */
class FileStream extends Writable {
  readonly #file: FileHandle;
  failure: unknown = null;

  constructor(file: FileHandle) {
    super();
    this.#file = file;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    void this.#append(chunk).finally(done);
  }

  async #append(chunk: Uint8Array): Promise<void> {
    try {
      if (this.failure === null) await this.#file.appendFile(chunk);
    } catch (error) {
      this.failure = error;
    }
  }
}

function parquetRow(row: QuarantinedRecord) {
  return {
    stream: row.stream,
    partition: row.partition,
    offset: row.offset,
    code: row.code,
    reason: row.reason,
    sha256: row.sha256 ?? undefined,
    uri: row.uri,
    event_time: new Date(row.eventTimeMs),
    retry_of: row.retryOf ?? undefined,
  };
}

/** parquetjs-lite throws strings. */
async function written<T>(work: Promise<T>, path: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw ioError(path, error);
  }
}

function ioError(path: string, cause: unknown): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected to write the quarantined records to ${path}, but ${messageOf(cause)}. Nothing was written; free the place or name another.`,
    { cause, path, retryable: true },
  );
}
