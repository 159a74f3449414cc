import { consumePartitions } from "../../connectors/log/kafka/consume-partitions.js";
import type { Assignment, Log, LogBatch, PartitionEnds, ReadOptions } from "../../connectors/log/log.js";
import { SluiceError } from "../../schemas/errors.js";
import type { LogRecord, StoredRecord } from "../../schemas/image-record.js";
import type { SimProcess, World } from "./world.js";

interface Partition {
  start: number;
  end: number;
  /** By offset; those before `start` have been removed by retention */
  readonly records: Map<number, StoredRecord>;
  /** All that were ever appended, whatever retention did */
  readonly appended: StoredRecord[];
}

/** Most records of one read */
export const READ_RECORDS = 6;

/** A partitioned log with holes in its offsets, retention, and a topic that may be made anew. It outlives processes. */
export class SimLog {
  partitions: Partition[];
  /** Records that a retry appended: `partition/offset` */
  readonly retries = new Set<string>();
  readonly #world: World;
  /** Called with the offset up to which a reader has been given records */
  onRead: (process: SimProcess, partition: number, records: readonly StoredRecord[]) => void = () => undefined;

  constructor(world: World, count: number) {
    this.#world = world;
    this.partitions = Array.from({ length: count }, emptyPartition);
  }

  /** Returns the first record's offset. Some offsets stay empty, as transactions leave them. */
  append(partition: number, records: readonly LogRecord[], retry = false): number {
    const into = this.partitions[partition]!;
    let first = -1;
    for (const record of records) {
      if (this.#world.chance(60)) into.end += 1 + this.#world.random.below(3);
      const stored = { ...record, offset: into.end++ };
      if (first < 0) first = stored.offset;
      into.records.set(stored.offset, stored);
      into.appended.push(stored);
      if (retry) this.retries.add(`${partition}/${stored.offset}`);
    }
    return first;
  }

  /** Retention: forgets what lies before an offset. */
  truncate(partition: number, before: number): void {
    const from = this.partitions[partition]!;
    from.start = Math.max(from.start, Math.min(before, from.end));
    for (const offset of from.records.keys()) if (offset < from.start) from.records.delete(offset);
  }

  /** The topic is deleted and made anew. */
  recreate(): void {
    this.partitions = this.partitions.map(emptyPartition);
  }

  /** The log as one process sees it, which is given `mine` of the partitions. */
  for(process: SimProcess, mine: (partition: number) => boolean, retries = false): Log {
    const call = <T>(what: string, effect: () => Promise<T>): Promise<T> => this.#world.call(process, what, effect);
    return {
      ensureTopic: () => Promise.resolve(),
      ends: () =>
        call("log ends", async (): Promise<PartitionEnds[]> =>
          this.partitions.map(({ start, end }) => ({ start, end })),
        ),
      offsetsAt: (_, timeMs) =>
        call("log offsets at a time", async () =>
          this.partitions.map(({ start, end, records }) => {
            for (let at = start; at < end; at++) if ((records.get(at)?.timestampMs ?? -1) >= timeMs) return at;
            return end;
          }),
        ),
      append: (_, partition, records) =>
        call(`log append ${records.length} to ${partition}`, async () => this.append(partition, records, retries)),
      cursor: () => Promise.resolve(null),
      fetch: (_, partition, offsets) =>
        call(`log fetch ${offsets.length} of ${partition}`, async () =>
          offsets.flatMap((offset) => this.partitions[partition]!.records.get(offset) ?? []),
        ),
      consume: (_topic, _group, task, signal) =>
        consumePartitions({
          partitions: this.partitions.length,
          turn: (partition, until) => {
            if (mine(partition)) return Promise.resolve(() => undefined);
            return new Promise((resolve) => {
              if (until.aborted) resolve(null);
              until.addEventListener("abort", () => {
                resolve(null);
              });
            });
          },
          task: (partition, until) => task(this.#assignment(process, partition, until)),
          signal,
        }),
      close: () => Promise.resolve(),
    };
  }

  #assignment(process: SimProcess, partition: number, signal: AbortSignal): Assignment {
    return {
      partition,
      signal,
      read: (offset, options) => this.#read(process, partition, signal, offset, options),
      commit: (offset) => this.#world.call(process, `commit ${partition}/${offset}`, async () => undefined),
      committed: () => Promise.resolve(null),
    };
  }

  async *#read(
    process: SimProcess,
    partition: number,
    signal: AbortSignal,
    offset: number,
    { until = Number.POSITIVE_INFINITY }: ReadOptions,
  ): AsyncGenerator<LogBatch> {
    let limit = typeof until === "number" ? until : Number.POSITIVE_INFINITY;
    if (typeof until !== "number") {
      until.then(
        (end) => (limit = end),
        () => undefined,
      );
    }
    for (let position = offset; ;) {
      const from = () => this.partitions[partition]!;
      const batch = await this.#world.call<LogBatch | null>(
        process,
        `read ${partition} from ${position}`,
        async () => {
          if (signal.aborted) return null;
          const { start, end, records } = from();
          if (position > end) {
            throw new SluiceError(
              "E_LOG_RANGE",
              `Expected an offset of at most ${end} in ${partition}, found ${position}.`,
            );
          }
          position = Math.max(position, start);
          if (position >= limit) return null;
          const found: StoredRecord[] = [];
          const most = 1 + this.#world.random.below(READ_RECORDS);
          for (let at = position; at < Math.min(end, limit) && found.length < most; at++) {
            const record = records.get(at);
            if (record !== undefined) found.push(record);
          }
          const last = found.at(-1);
          return { records: found, end: last === undefined ? Math.min(end, limit) : last.offset + 1, logEnd: end };
        },
        { ready: () => signal.aborted || position !== from().end || position >= limit },
      );
      if (batch === null) return;
      position = batch.end;
      if (batch.records.length === 0) continue;
      this.onRead(process, partition, batch.records);
      yield batch;
    }
  }
}

function emptyPartition(): Partition {
  return { start: 0, end: 0, records: new Map(), appended: [] };
}
