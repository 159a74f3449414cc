import type { StoredRecord } from "../../../schemas/image-record.js";
import type { Assignment, LogBatch, ReadOptions } from "../log.js";
import type { KafkaLog } from "./kafka-log.js";

/** By topic and partition, what is added to an offset of the topic */
export type Bases = ReadonlyMap<string, readonly number[]>;

/**
 * A log some of whose topics took the place of others: their offsets go on where those of the others ended, here and for the caller
 * alone. What the brokers and other programs see are the topics' own.
 */
export function basedLog(log: KafkaLog, bases: Bases): KafkaLog {
  if ([...bases.values()].every((all) => all.every((base) => base === 0))) return log;
  const baseOf = (topic: string, partition: number): number => bases.get(topic)?.[partition] ?? 0;
  const read: KafkaLog["read"] = (topic, partition, offset, options, signal) => {
    const base = baseOf(topic, partition);
    return raised(log.read(topic, partition, Math.max(0, offset - base), lowered(options, base), signal), base);
  };
  return {
    ensureTopic: (topic, partitions, settings) => log.ensureTopic(topic, partitions, settings),
    describeTopic: (topic, settings) => log.describeTopic(topic, settings),
    cursor: (name) => log.cursor(name),
    groupLags: (topic, prefix) => log.groupLags(topic, prefix),
    groupStates: (topic, prefix, partitions) => log.groupStates(topic, prefix, partitions),
    lacking: (rights) => log.lacking(rights),
    heldBack: (topic) => log.heldBack(topic),
    close: () => log.close(),
    async identity(topic) {
      const identity = await log.identity(topic);
      const own = bases.get(topic);
      return own === undefined ? identity : { ...identity, bases: [...own] };
    },
    async ends(topic) {
      const ends = await log.ends(topic);
      return ends.map(({ start, end }, partition) => {
        const base = baseOf(topic, partition);
        return { start: Math.max(0, start + base), end: Math.max(0, end + base) };
      });
    },
    async offsetsAt(topic, timeMs) {
      const offsets = await log.offsetsAt(topic, timeMs);
      return offsets.map((offset, partition) => offset + baseOf(topic, partition));
    },
    async append(topic, partition, records, cursor) {
      return (await log.append(topic, partition, records, cursor)) + baseOf(topic, partition);
    },
    async fetch(topic, partition, offsets) {
      const base = baseOf(topic, partition);
      const own = offsets.map((offset) => offset - base).filter((offset) => offset >= 0);
      return (await log.fetch(topic, partition, own)).map((record) => moved(record, base));
    },
    deleteBefore: (topic, partition, offset) =>
      log.deleteBefore(topic, partition, Math.max(0, offset - baseOf(topic, partition))),
    async committed(group, topic, partition) {
      const offset = await log.committed(group, topic, partition);
      return offset === null ? null : offset + baseOf(topic, partition);
    },
    read,
    consume: (topic, group, task, signal) => {
      const based = (assignment: Assignment): Promise<void> => {
        const { partition } = assignment;
        const base = baseOf(topic, partition);
        return task({
          partition,
          signal: assignment.signal,
          read: (offset, options) => raised(assignment.read(Math.max(0, offset - base), lowered(options, base)), base),
          // What lies before the base was read of another topic: of this one nothing is done by then.
          commit: (offset) => assignment.commit(Math.max(0, offset - base)),
          committed: async () => {
            const offset = await assignment.committed();
            return offset === null ? null : offset + base;
          },
        });
      };
      return log.consume(topic, group, based, signal);
    },
  };
}

function moved(record: StoredRecord, base: number): StoredRecord {
  return { ...record, offset: record.offset + base };
}

function lowered({ until, ...options }: ReadOptions, base: number): ReadOptions {
  if (until === undefined) return options;
  return { ...options, until: typeof until === "number" ? until - base : until.then((end) => end - base) };
}

async function* raised(batches: AsyncIterable<LogBatch>, base: number): AsyncGenerator<LogBatch, void, undefined> {
  for await (const { records, end, logEnd } of batches) {
    yield { records: records.map((record) => moved(record, base)), end: end + base, logEnd: logEnd + base };
  }
}
