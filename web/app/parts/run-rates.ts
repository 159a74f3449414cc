import type { RunRecord } from "../../../schemas/run-record.ts";

/** How fast records pass a run, a second. */
export interface RunRates {
  /** Put into the log by its sources */
  readonly taken: number;
  /** Dealt with: scored, copied, refused or lost */
  readonly done: number;
}

type Written = Pick<RunRecord, "startedMs" | "atMs" | "counts">;

/** Over how long a rate is taken, ms: a run writes of itself every few seconds */
const SPAN_MS = 20_000;

/** What a run has written of itself, the oldest first; another run begins anew, and what was read twice is one. */
export function withWritten(before: readonly Written[], run: Written): readonly Written[] {
  const same = before.filter((one) => one.startedMs === run.startedMs && one.atMs < run.atMs);
  return [...same.filter((one) => run.atMs - one.atMs <= SPAN_MS), run];
}

/** Its rates over what was written; null before it has written twice. */
export function ratesOf(written: readonly Written[]): RunRates | null {
  const [first, last] = [written[0], written.at(-1)];
  if (first === undefined || last === undefined || last.atMs === first.atMs) return null;
  const seconds = (last.atMs - first.atMs) / 1000;
  const done = ({ counts }: Written): number => counts.scored + counts.copied + counts.quarantined + counts.lost;
  return {
    taken: (last.counts.appended - first.counts.appended) / seconds,
    done: (done(last) - done(first)) / seconds,
  };
}
