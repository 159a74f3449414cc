import type { Log, PartitionEnds } from "../connectors/log/log.js";
import type { Store } from "../connectors/store/store.js";
import { lengthOf, meets, without, type OffsetRange } from "../operators/archive/offset-ranges.js";
import { ChainReader } from "../operators/archive/chain-reader.js";
import { claimChains, claimedRange, readClaims } from "../operators/archive/chain-claims.js";
import type { ChainClaim } from "../schemas/chain-claim.js";
import { SluiceError } from "../schemas/errors.js";
import type { ChainName } from "../schemas/keys.js";
import { assertSameLog } from "./flow/log-continues.js";

/** A place in each partition of a log: its start, its end as it is now, the first that came at or after a time, or an offset. */
export type ReplayBound =
  | { readonly at: "start" | "now" }
  | { readonly at: "time"; readonly timeMs: number }
  | { readonly at: "offset"; readonly offset: number };

/** What is to be read again. */
export interface ReplayAsk {
  readonly from: ReplayBound;
  readonly until: ReplayBound;
  /** Of single partitions, in place of the two above; where any are named, the others are left alone */
  readonly partitions?: ReadonlyMap<number, { readonly from?: ReplayBound; readonly until?: ReplayBound }>;
}

/** A chain that the replay scores, from `position` to `end`. */
export interface PlannedChain {
  readonly chain: ChainName;
  readonly end: number;
  /** Up to where it is archived */
  readonly position: number;
  /** Laid down by this plan, not by an earlier one */
  readonly isNew: boolean;
}

export interface ReplayPlan {
  /** What was asked for, as far as the log has it; by partition */
  readonly asked: readonly (OffsetRange & { readonly partition: number })[];
  /** What was asked for, no chain of the teacher has, and the log has no more: lost to this teacher; by partition */
  readonly gone: readonly (OffsetRange & { readonly partition: number })[];
  /** What is left to do, in the order of (partition, origin) */
  readonly chains: readonly PlannedChain[];
  /** Offsets asked for that replays of this teacher have archived already */
  readonly archived: number;
  /** Offsets asked for that are its live chain's to score */
  readonly live: number;
  /** A replay until then is gone on with in place of one until now: what came since is for another run */
  readonly goesOn: boolean;
}

export interface PlanOptions {
  readonly log: Log;
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  readonly ask: ReplayAsk;
  /** Up to where a chain is archived */
  readonly archivedTo: (chain: ChainName) => Promise<number>;
  /** Lay nothing down: say what would be */
  readonly dryRun: boolean;
}

/**
 * Finds what of a range no chain of the teacher has, and lays it down as chains of its own before anything is scored, so
 * that a process which asks for the same, now or later, scores the same chains. Where `until` is now and an earlier replay of the
 * range that was asked for until then is not finished, that one's end holds: nothing is laid down.
 * Throws E_LOG_RECREATED where an earlier replay reaches beyond the log, E_USAGE for a partition that is not there.
 */
export async function planReplay(options: PlanOptions): Promise<ReplayPlan> {
  const { log, store, stream, teacher, ask } = options;
  const archive = { teacher, stream };
  await assertSameLog(log, store, stream, { always: true });
  const ends = await log.ends(stream);
  const asked = await askedRanges(log, stream, ends, ask);
  const before = await readClaims(store, archive);
  assertWithin(before, ends, stream);
  const positions = new Map<string, number>();
  for (const claim of before) {
    const { partition, origin } = claim;
    if (claim.end !== null) positions.set(nameOf(claim), await options.archivedTo({ ...archive, partition, origin }));
  }
  // What is claimed while this plan is made has not been begun.
  const positionOf = (claim: ChainClaim): number => positions.get(nameOf(claim)) ?? claim.origin;
  const isUnfinished = (claim: ChainClaim): boolean => claim.end !== null && positionOf(claim) < claim.end;
  const isAsked = (claim: ChainClaim): boolean =>
    asked.some(({ partition, reach }) => partition === claim.partition && meets(reach, claimedRange(claim)));

  const goesOn = (claimed: readonly ChainClaim[]): boolean =>
    claimed.some((claim) => claim.untilNow === true && isUnfinished(claim) && isAsked(claim));
  const choose = (claimed: readonly ChainClaim[]): ChainClaim[] => {
    const waits = goesOn(claimed);
    return asked.flatMap(({ partition, start, end, reach }) => {
      const untilNow = reach.end === Number.POSITIVE_INFINITY;
      if (waits && untilNow) return [];
      const taken = claimed.filter((claim) => claim.partition === partition).map(claimedRange);
      return without({ start, end }, taken).map((left) => {
        const claim = { partition, origin: left.start, end: left.end };
        return untilNow ? { ...claim, untilNow } : claim;
      });
    });
  };
  const claimed = options.dryRun ? [...before, ...choose(before)] : await claimChains(store, archive, choose);

  const known = new Set(before.map(nameOf));
  const chains = claimed
    .filter((claim) => isUnfinished(claim) && isAsked(claim))
    .sort((a, b) => a.partition - b.partition || a.origin - b.origin)
    .map((claim): PlannedChain => {
      const { partition, origin } = claim;
      const chain = { ...archive, partition, origin };
      return { chain, end: claim.end!, position: positionOf(claim), isNew: !known.has(nameOf(claim)) };
    });
  const shared = (of: (claim: ChainClaim) => OffsetRange | null): number =>
    asked.reduce((sum, range) => {
      const taken = claimed
        .filter(({ partition }) => partition === range.partition)
        .flatMap((claim) => of(claim) ?? []);
      return sum + range.end - range.start - lengthOf(without(range, taken));
    }, 0);
  return {
    asked: asked.map(({ partition, start, end }) => ({ partition, start, end })),
    gone: asked.flatMap(({ partition, reach }) => {
      const taken = claimed.filter((claim) => claim.partition === partition).map(claimedRange);
      const cut = { start: reach.start, end: Math.min(reach.end, ends[partition]!.start) };
      return cut.start >= cut.end ? [] : without(cut, taken).map((range) => ({ partition, ...range }));
    }),
    chains,
    archived: shared((claim) => (claim.end === null ? null : { start: claim.origin, end: positionOf(claim) })),
    live: shared((claim) => (claim.end === null ? claimedRange(claim) : null)),
    goesOn: goesOn(before) && asked.some(({ reach }) => reach.end === Number.POSITIVE_INFINITY),
  };
}

/** Up to where chains are archived, from the archive alone. */
export function archivedTo(store: Store): PlanOptions["archivedTo"] {
  return (chain) => new ChainReader(store, chain).end();
}

interface AskedRange extends OffsetRange {
  readonly partition: number;
  /** The same as it was asked for, whatever the log still has; it ends nowhere where the range ends with the log */
  readonly reach: OffsetRange;
}

async function askedRanges(
  log: Log,
  stream: string,
  ends: readonly PartitionEnds[],
  ask: ReplayAsk,
): Promise<AskedRange[]> {
  const times = new Map<number, readonly number[]>();
  const offsetOf = async (bound: ReplayBound, partition: number): Promise<number> => {
    const { start, end } = ends[partition]!;
    switch (bound.at) {
      case "start":
        return start;
      case "now":
        return end;
      case "offset":
        return Math.min(Math.max(bound.offset, start), end);
      case "time": {
        const found = times.get(bound.timeMs) ?? (await log.offsetsAt(stream, bound.timeMs));
        times.set(bound.timeMs, found);
        return Math.min(Math.max(found[partition] ?? end, start), end);
      }
    }
  };
  const ranges: AskedRange[] = [];
  const named = ask.partitions ?? new Map<number, never>();
  for (const partition of named.size === 0 ? ends.keys() : [...named.keys()].sort((a, b) => a - b)) {
    if (ends[partition] === undefined) {
      throw new SluiceError(
        "E_USAGE",
        `Expected a partition below ${ends.length}, the number that topic "${stream}" has, found ${partition}.`,
      );
    }
    const { from = ask.from, until = ask.until } = named.get(partition) ?? {};
    const start = await offsetOf(from, partition);
    const end = Math.max(start, await offsetOf(until, partition));
    const reach = {
      start: from.at === "offset" ? from.offset : from.at !== "now" && start === ends[partition].start ? 0 : start,
      end: until.at === "offset" ? until.offset : until.at === "now" ? Number.POSITIVE_INFINITY : end,
    };
    ranges.push({ partition, start, end, reach });
  }
  return ranges;
}

function assertWithin(claimed: readonly ChainClaim[], ends: readonly PartitionEnds[], stream: string): void {
  for (const { partition, origin, end } of claimed) {
    const logEnd = ends[partition]?.end ?? 0;
    const reach = end ?? origin;
    if (reach <= logEnd) continue;
    throw new SluiceError(
      "E_LOG_RECREATED",
      `Expected the log of ${stream}/${partition} to reach offset ${reach}, up to where it was to be scored, found its end at ${logEnd}: ` +
        "the topic was deleted and made anew, or another log stands in its place. Give the new topic another stream name.",
      { partition, chainEnd: reach, logEnd },
    );
  }
}

const nameOf = ({ partition, origin, end }: ChainClaim): string => `${partition}/${origin}/${end ?? "live"}`;
