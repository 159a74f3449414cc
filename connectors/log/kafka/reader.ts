import { SluiceError, awaitedLater } from "../../../schemas/errors.js";
import type { StoredRecord } from "../../../schemas/image-record.js";
import type { KafkaClient } from "./client.js";
import { isOutOfRange, type Fetched, type KafkaFetcher } from "./fetch.js";
import { committedRecords, endOf, sizeOf } from "./records.js";
import { topicEnds } from "./topics.js";
import type { LogBatch, PartitionEnds, ReadOptions } from "../log.js";
import { ReadingEnd } from "./reading-end.js";

export interface KafkaReading {
  readonly client: KafkaClient;
  readonly fetcher: KafkaFetcher;
  readonly topic: string;
  readonly partition: number;
  /** About how much is fetched at a time. One more fetch may be under way while what it brought is read. */
  readonly fetchBytes: number;
  readonly signal: AbortSignal;
}

/**
 * See `Assignment.read`. A batch's `end` is also after control records and aborted ones that follow its last record, as
 * far as they were fetched with it. Throws E_LOG_RECREATED where the log ends below what was read already.
 */
export async function* readKafkaPartition(
  reading: KafkaReading,
  offset: number,
  options: ReadOptions,
): AsyncGenerator<LogBatch> {
  const { signal } = reading;
  const until = new ReadingEnd(options.until);
  if (isAborted(signal)) return;
  let position = Math.max(offset, (await startingBounds(reading, offset)).start);
  let fetching: Promise<Fetched | number> | null = null;
  for (;;) {
    if (isAborted(signal)) return;
    if (position >= until.limit) return;
    fetching ??= fetchFrom(reading, position);
    const fetched = await firstOf(fetching, until, signal);
    if (fetched === null) continue;
    fetching = null;
    if (typeof fetched === "number") {
      // Retention has eaten what was to come next.
      position = fetched;
      continue;
    }
    const records = committedRecords(fetched.raw, fetched.aborted, position);
    const from = position;
    position = Math.max(position, endOf(fetched.raw) ?? 0);
    if (position < until.limit) {
      fetching = awaitedLater(fetchFrom(reading, position));
    }
    for (const batch of inBatches(records, options, position, fetched.logEnd)) {
      if (isAborted(signal)) return;
      const within = below(batch, until.limit, from);
      if (within !== null) yield within;
      if (batch.end >= until.limit) return;
    }
  }
}

/** The part of a batch below `limit`, or null where there is none. */
function below(batch: LogBatch, limit: number, from: number): LogBatch | null {
  if (batch.end <= limit) return batch;
  const records = batch.records.filter(({ offset }) => offset < limit);
  return records.length === 0 ? null : { records, end: Math.max(limit, from), logEnd: batch.logEnd };
}

async function startingBounds(reading: KafkaReading, offset: number): Promise<PartitionEnds> {
  const { client, topic, partition } = reading;
  const bounds = await boundsOf(reading);
  if (offset <= bounds.end) return bounds;
  throw new SluiceError(
    "E_LOG_RANGE",
    `Expected an offset of at most ${bounds.end}, the end of ${topic}/${partition} in ${client.place}, found ${offset}.`,
    { topic, partition, offset, end: bounds.end },
  );
}

async function boundsOf({ client, topic, partition }: KafkaReading): Promise<PartitionEnds> {
  const bounds = (await topicEnds(client, topic))[partition];
  if (bounds !== undefined) return bounds;
  throw new SluiceError(
    "E_LOG_IO",
    `Expected a partition ${partition} of topic "${topic}" in ${client.place}, found none.`,
  );
}

/** What comes at `position`, or the offset to go on at where the log no longer has it. */
async function fetchFrom(reading: KafkaReading, position: number): Promise<Fetched | number> {
  const { client, fetcher, topic, partition, fetchBytes: maxBytes, signal } = reading;
  return client.retrying(
    `read ${topic}/${partition}`,
    async () => {
      try {
        return await fetcher.fetch({ topic, partition, offset: position, maxBytes });
      } catch (error) {
        if (!isOutOfRange(error)) throw error;
        const { start, end } = await boundsOf(reading);
        if (position <= end) return Math.max(start, position);
        throw new SluiceError(
          "E_LOG_RECREATED",
          `Expected ${topic}/${partition} in ${client.place} to go on at ${position}, found that it ends at ${end}: the topic was deleted and made anew.`,
          { topic, partition, position, end },
        );
      }
    },
    { signal, topic },
  );
}

/** Null where the reading's end changed, or the signal aborted, before anything was fetched. */
async function firstOf<T>(fetching: Promise<T>, until: ReadingEnd, signal: AbortSignal): Promise<T | null> {
  let leave = (): void => undefined;
  const woken = new Promise<null>((resolve) => {
    leave = () => {
      resolve(null);
    };
  });
  until.wake = leave;
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([fetching, woken]);
  } finally {
    until.wake = () => undefined;
    signal.removeEventListener("abort", leave);
  }
}

function* inBatches(
  records: readonly StoredRecord[],
  { maxRecords, maxBytes }: ReadOptions,
  end: number,
  logEnd: number,
): Generator<LogBatch> {
  for (let from = 0; from < records.length;) {
    let to = from;
    for (let bytes = 0; to < records.length && to - from < maxRecords; to++) {
      bytes += sizeOf(records[to]!);
      if (to > from && bytes > maxBytes) break;
    }
    const last = to === records.length;
    yield { records: records.slice(from, to), end: last ? end : records[to - 1]!.offset + 1, logEnd };
    from = to;
  }
}

/** It may abort at any `await`; the compiler would take the first look for the last. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
