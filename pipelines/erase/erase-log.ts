import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { openEmbeddedLog, type EmbeddedLog } from "../../connectors/log/embedded/embedded-log.js";
import { isClosed, REBUILDING } from "../../connectors/log/embedded/standing.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { erasedRecord } from "../../schemas/erased.js";
import { encodeImageRecord, type LogRecord, type StoredRecord } from "../../schemas/image-record.js";
import type { RecordPlace } from "../../connectors/log/embedded/copy-log.js";

const COMMAND = "sluice erase";
/** What is deleted once the new log stands in its place */
const ERASED = ".erased";

/** Opens the log of a data folder for its only writer, once what an erasure that was killed has left is put right. Throws E_LOCKED. */
export async function openLogToErase(folder: string, nowMs: () => number): Promise<EmbeddedLog> {
  if (!existsSync(folder) && isClosed(`${folder}${REBUILDING}`)) await rename(`${folder}${REBUILDING}`, folder);
  await rm(`${folder}${ERASED}`, { recursive: true, force: true });
  return openEmbeddedLog(folder, { exclusive: true, command: COMMAND, nowMs });
}

/** Logs that `sluice log rebuild` has put aside: names of folders. */
export async function logsAside(folder: string): Promise<string[]> {
  if (!existsSync(dirname(folder))) return [];
  const names = await readdir(dirname(folder));
  return names
    .filter((name) => name.startsWith(`${basename(folder)}.damaged-`))
    .map((name) => join(dirname(folder), name));
}

export interface EraseLogOptions {
  readonly log: EmbeddedLog;
  readonly folder: string;
  /** 64 hexadecimal digits each */
  readonly digests: ReadonlySet<string>;
  /** Offsets that are known to have one of the images, by `<stream>/<partition>` */
  readonly offsets: ReadonlyMap<string, ReadonlySet<number>>;
}

/** Whether a record of the log has one of the images, or leads to it. */
export function hasImage(
  record: StoredRecord,
  place: RecordPlace | null,
  { digests, offsets }: Pick<EraseLogOptions, "digests" | "offsets">,
): boolean {
  if (place !== null && offsets.get(`${place.topic}/${place.partition}`)?.has(record.offset) === true) return true;
  return record.value !== null && digests.has(sha256Hex(record.value));
}

/**
 * Puts a log in the place of this one in which the images' records say that they were erased, and closes both. Every record keeps its offset.
 * Killed before the end, the old log or the new one is there the next time.
 */
export async function eraseFromLog(options: EraseLogOptions): Promise<number> {
  const { log, folder } = options;
  const fresh = `${folder}${REBUILDING}`;
  await rm(fresh, { recursive: true, force: true });
  let records = 0;
  await log.copyTo(fresh, (record, place): LogRecord | null => {
    if (!hasImage(record, place, options)) return null;
    const anew = encodeImageRecord(erasedRecord({ eventTimeMs: record.timestampMs }));
    // One that says so already is no image any more.
    if (record.headers["sluice-uri"] !== anew.headers["sluice-uri"]) records++;
    return anew;
  });
  await log.close();
  await rename(folder, `${folder}${ERASED}`);
  await rename(fresh, folder);
  await rm(`${folder}${ERASED}`, { recursive: true, force: true });
  return records;
}
