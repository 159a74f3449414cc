import type { RunHead } from "../../schemas/run.js";

/** So many runs of a level become one of the next */
const FAN = 8;
/** A run of a higher level is at most this large. */
const MOST_ROWS = 1_048_576;
const MOST_BYTES = 256 * 1024 * 1024;
/** The head of an index has a place for each of its lines. */
const MOST_SEGMENTS = 65_536;

/**
 * The runs of one level that become one of the next, in the order of the chain: each group is to be merged before those behind
 * it. `heads` are those beyond the next level's end, in order. A group is complete when it is full or no run behind fits;
 * without `dueOnly` the last one is, too. A run that cannot be merged is a group of its own where a complete group of
 * several lies behind it.
 */
export function mergeGroups(heads: readonly RunHead[], dueOnly: boolean): RunHead[][] {
  const groups: RunHead[][] = [];
  for (const head of heads) {
    const last = groups.at(-1);
    if (last !== undefined && last.length < FAN_OF(dueOnly) && fits(last, head)) last.push(head);
    else groups.push([head]);
  }
  const last = groups.at(-1);
  if (dueOnly && last !== undefined && last.length < FAN) groups.pop();
  const lastOfSeveral = groups.findLastIndex((group) => group.length > 1);
  return groups.slice(0, lastOfSeveral + 1);
}

/** What is merged by hand is merged as far as it fits. */
const FAN_OF = (dueOnly: boolean): number => (dueOnly ? FAN : Number.POSITIVE_INFINITY);

function fits(group: readonly RunHead[], head: RunHead): boolean {
  const all = [...group, head];
  return (
    sumOf(all, ({ counts }) => counts.scored + counts.copied) <= MOST_ROWS &&
    sumOf(all, ({ files }) => sumOf(files, ({ sizeBytes }) => sizeBytes)) <= MOST_BYTES &&
    sumOf(all, ({ segments }) => segments) <= MOST_SEGMENTS
  );
}

function sumOf<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((sum, value) => sum + of(value), 0);
}
