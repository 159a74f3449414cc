import { setImmediate as nextTurn } from "node:timers/promises";
import { SluiceError } from "../../../schemas/errors.js";
import type { LmdbFolder } from "./lmdb-folder.js";
import type { LogBatch, ReadOptions } from "../log.js";
import type { PartitionTable } from "./partition-table.js";
import { ReadingEnd } from "../kafka/reading-end.js";
import type { WakeUps } from "./wake-ups.js";

/** A log opened read-only hears nothing of the writer's appends, so it looks. */
const LOOK_MS = 250;

export interface Reading {
  readonly folder: LmdbFolder;
  readonly table: PartitionTable;
  readonly wakeUps: WakeUps;
  readonly topic: string;
  readonly partition: number;
  readonly signal: AbortSignal;
}

/** See `Assignment.read`. Throws E_LOG_IO where the log is closed under it. */
export async function* readPartition(
  { folder, table, wakeUps, topic, partition, signal }: Reading,
  offset: number,
  { maxRecords, maxBytes, until }: ReadOptions,
): AsyncGenerator<LogBatch> {
  const stop = new ReadingEnd(until);
  folder.refresh();
  const { end } = table.bounds(topic, partition);
  if (offset > end) {
    throw new SluiceError(
      "E_LOG_RANGE",
      `Expected an offset of at most ${end}, the end of ${topic}/${partition} in ${folder.folder}, found ${offset}.`,
      { topic, partition, offset, end },
    );
  }
  let position = offset;
  for (;;) {
    if (signal.aborted) return;
    folder.refresh();
    position = Math.max(position, table.bounds(topic, partition).start);
    if (position >= stop.limit) return;
    const batch = table.read(topic, partition, position, { limit: stop.limit, maxRecords, maxBytes });
    if (batch !== null) {
      position = batch.end;
      yield batch;
      // A reader that never waits for anything would else keep timers and I/O from running.
      await nextTurn();
      continue;
    }
    const look: { timer?: NodeJS.Timeout } = {};
    await wakeUps.sleep(partitionName(topic, partition), signal, (wake) => {
      stop.wake = wake;
      if (folder.readOnly) look.timer = setTimeout(wake, LOOK_MS);
    });
    clearTimeout(look.timer);
  }
}

export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
