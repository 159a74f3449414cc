import { InvalidArgumentError } from "commander";
import type { ReplayAsk, ReplayBound } from "../pipelines/replay-plan.js";
import { SluiceError } from "../schemas/errors.js";
import { timeArgument } from "./time-argument.js";

export interface ReplayRangeFlags {
  readonly from?: ReplayBound;
  readonly until?: ReplayBound;
  readonly fromOffset?: readonly PartitionOffset[];
  readonly untilOffset?: readonly PartitionOffset[];
}

/** An offset of one partition; of every one where `partition` is null. */
export interface PartitionOffset {
  readonly partition: number | null;
  readonly offset: number;
}

/** For commander: start, now, or a time. */
export function boundArgument(text: string): ReplayBound {
  if (text === "start" || text === "now") return { at: text };
  try {
    return { at: "time", timeMs: timeArgument(text) };
  } catch {
    throw new InvalidArgumentError(
      "Expected start, now, a date (2026-11-01), a time (2026-11-01T12:00Z), or ms since the epoch.",
    );
  }
}

/** For commander: 1200, or 3:1200 for partition 3 alone; repeatable. */
export function offsetArgument(text: string, before: readonly PartitionOffset[] | undefined): PartitionOffset[] {
  const [, partition, offset] = /^(?:(\d{1,6}):)?(\d{1,15})$/.exec(text) ?? [];
  if (offset === undefined) {
    throw new InvalidArgumentError("Expected an offset (1200), or a partition and an offset (3:1200).");
  }
  return [...(before ?? []), { partition: partition === undefined ? null : Number(partition), offset: Number(offset) }];
}

/** Throws E_USAGE for flags that contradict each other. */
export function replayAsk(flags: ReplayRangeFlags): ReplayAsk {
  const from = sideOf("from", flags.from, flags.fromOffset ?? []);
  const until = sideOf("until", flags.until, flags.untilOffset ?? []);
  const partitions = new Map<number, { from?: ReplayBound; until?: ReplayBound }>();
  for (const [partition, bound] of from.partitions) partitions.set(partition, { from: bound });
  for (const [partition, bound] of until.partitions)
    partitions.set(partition, { ...partitions.get(partition), until: bound });
  return {
    from: from.all ?? { at: "start" },
    until: until.all ?? { at: "now" },
    ...(partitions.size === 0 ? {} : { partitions }),
  };
}

function sideOf(
  side: "from" | "until",
  bound: ReplayBound | undefined,
  offsets: readonly PartitionOffset[],
): { all: ReplayBound | undefined; partitions: Map<number, ReplayBound> } {
  const all = [...(bound === undefined ? [] : [bound])];
  const partitions = new Map<number, ReplayBound>();
  for (const { partition, offset } of offsets) {
    if (partition === null) all.push({ at: "offset", offset });
    else if (!partitions.has(partition)) partitions.set(partition, { at: "offset", offset });
    else throw twice(side, `two for partition ${partition}`);
  }
  if (all.length > 1) throw twice(side, "two for all partitions");
  return { all: all[0], partitions };
}

function twice(side: string, found: string): SluiceError {
  return new SluiceError(
    "E_USAGE",
    `Expected one place to replay ${side} (--${side}, or --${side}-offset), found ${found}. See \`sluice replay --help\`.`,
  );
}
