import type { Log } from "../connectors/log/log.js";
import type { Source, SourceItem } from "../connectors/source/source.js";
import { encodeImageRecord } from "../schemas/image-record.js";
import { batches } from "./runtime/flow.js";

export interface ProduceOptions {
  readonly log: Log;
  readonly source: Source;
  readonly topic: string;
  readonly partitions: number;
  /** Records appended so far in this run */
  readonly onAppended?: (records: number) => void;
  readonly stop: AbortSignal;
}

/** Appended at once: a batch and the source's cursor are one transaction, a flush of the disk is shared by this many. */
const APPEND = { max: 8 * 1024 * 1024, maxItems: 512, maxDelayMs: 200 };

/** What a record takes in the log beside its bytes, about. */
const RECORD_BYTES = 256;

/**
 * Puts a source's images into the images topic, each batch with the source's cursor in one transaction: a run that
 * resumes neither repeats nor skips. Batches go around the partitions. Returns the number of records appended.
 */
export async function produce(options: ProduceOptions): Promise<number> {
  const { log, source, topic, partitions, onAppended, stop } = options;
  const name = `produce/${topic}/${source.name}`;
  let appended = 0;
  let turn = 0;
  const groups = batches(source.items(await log.cursor(name)), { ...APPEND, weight: sizeOf });
  for await (const group of groups) {
    const value = group[group.length - 1]!.cursor;
    const records = group.map(({ record }) => encodeImageRecord(record));
    await log.append(topic, turn++ % partitions, records, { name, value });
    appended += records.length;
    onAppended?.(appended);
    if (stop.aborted) break;
  }
  return appended;
}

function sizeOf({ record }: SourceItem): number {
  return RECORD_BYTES + (record.bytes?.length ?? 0);
}
