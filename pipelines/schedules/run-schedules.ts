import type { Store } from "../../connectors/store/store.js";
import type { Observer } from "../../schemas/observed.js";
import { lastFiring, type ClaimedRun, type EndedRun, type Schedule } from "../../schemas/schedule.js";
import { cronAfter } from "../../schemas/trigger.js";
import { counted } from "../../schemas/counted.js";
import { sleepUntil } from "../flow/sleep-until.js";
import { Together } from "../flow/together.js";
import { RunBook, type NewestRun } from "./run-book.js";

/** A run's process is taken to live for so long after it last said so, ms, and says so this often. */
const HOLD_MS = 120_000;
const RENEW_MS = 20_000;
/** A machine may sleep, and another process may be done: looked at this often at least, ms */
const LOOK_MS = 30_000;

/** The last moment that a date can be */
const NEVER_MS = 8.64e15;
/** Clocks of machines differ by less, ms */
const SKEW_MS = 3_600_000;

/** What a command did. `stopped`: it was asked to end before it was done. */
export interface RanCommand {
  readonly exitCode: number;
  readonly said: string;
  readonly stopped: boolean;
}

export interface RunSchedulesOptions {
  readonly store: Store;
  readonly stream: string;
  readonly schedules: readonly Schedule[];
  /** Runs a command of sluice to its end, or until the signal asks it to stop */
  readonly runCommand: (schedule: Schedule, signal: AbortSignal) => Promise<RanCommand>;
  /** This process, as other machines know it */
  readonly by: string;
  readonly nowMs: () => number;
  /** Waits for so long, or until the signal aborts */
  readonly sleep?: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly onNote?: (line: string) => void;
  readonly onWarning?: (line: string, code?: string) => void;
  readonly observer?: Observer | undefined;
  readonly signal: AbortSignal;
}

/** Works by the schedules until stopped; each of them by itself, its runs one after the other. Throws what the store throws. */
export async function runSchedules(options: RunSchedulesOptions): Promise<void> {
  const all = new Together(options.signal);
  for (const schedule of options.schedules) {
    const book = new RunBook(options.store, options.stream, schedule.name);
    void all.begin(follow(schedule, book, { ...options, signal: all.signal }));
  }
  await all.ended();
}

async function follow(schedule: Schedule, book: RunBook, options: RunSchedulesOptions): Promise<void> {
  const { nowMs, sleep = sleepUntil, signal, by } = options;
  const sinceMs = nowMs();
  options.observer?.take({ event: "schedule.followed", schedule: schedule.name });
  let saidMs: number | null = null;
  while (!signal.aborted) {
    const newest = await book.newest();
    if (newest === null) {
      await book.claim(firstSight(nowMs(), by));
      continue;
    }
    const due = dueRun(schedule, newest, { sinceMs, nowMs: nowMs() });
    if (typeof due === "number") {
      if (newest.end !== null || newest.claim.number === 0) {
        if (due !== saidMs)
          options.onNote?.(
            `${schedule.name}: ${due === NEVER_MS ? "never fires again" : `next at ${new Date(due).toISOString()}`}`,
          );
        saidMs = due;
      }
      await sleep(Math.min(Math.max(due - nowMs(), 1), LOOK_MS), signal);
      continue;
    }
    const claim: ClaimedRun = {
      schemaVersion: 1,
      number: newest.claim.number + 1,
      ...due,
      claimedMs: nowMs(),
      by,
    };
    if ((await book.claim(claim)) === "created") await run(schedule, claim, book, options);
  }
}

/** What is to be claimed now, or until when there is nothing to claim, ms. */
function dueRun(
  schedule: Schedule,
  { claim, end, heldUntilMs }: NewestRun,
  { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
): Pick<ClaimedRun, "firesMs" | "missed" | "again"> | number {
  if (claim.number > 0 && end === null) {
    // Claimed a moment ago, and not yet held: its process gets the time that a hold would give it.
    const untilMs = Math.min(heldUntilMs ?? claim.claimedMs + HOLD_MS, nowMs + HOLD_MS + SKEW_MS);
    return untilMs > nowMs ? untilMs : { firesMs: claim.firesMs, missed: claim.missed, again: true };
  }
  // One of a machine whose clock was far ahead says nothing of firings until then.
  const last = lastFiring(schedule, claim.firesMs > nowMs + SKEW_MS ? sinceMs : claim.firesMs, nowMs);
  if (last !== null) return { ...last, again: false };
  // A line that never fires again was refused where it was read, but for one that lies in the past.
  return cronAfter(schedule.cron, nowMs, schedule.timeZone) ?? NEVER_MS;
}

async function run(
  schedule: Schedule,
  claim: ClaimedRun,
  book: RunBook,
  { runCommand, nowMs, sleep = sleepUntil, signal, onNote, onWarning, observer }: RunSchedulesOptions,
): Promise<void> {
  const { name } = schedule;
  const { number, firesMs, missed, again } = claim;
  const why = [
    ...(again ? ["taken over from a process that has gone"] : []),
    ...(missed > 0 ? [`${counted(missed, "firing")} before it ${missed === 1 ? "was" : "were"} missed`] : []),
  ];
  onNote?.(
    `${name}: sluice ${schedule.run.join(" ")}, due ${new Date(firesMs).toISOString()}${why.length > 0 ? ` (${why.join(", ")})` : ""}`,
  );
  const done = new AbortController();
  const holding = (async () => {
    while (!done.signal.aborted) {
      await book.hold(number, nowMs() + HOLD_MS);
      await sleep(RENEW_MS, done.signal);
    }
  })();
  // Both are waited for: a hold that fails ends the command as well.
  const stopped = new AbortController();
  holding.catch((error: unknown) => {
    stopped.abort(error);
  });
  const ran = await runCommand(schedule, AbortSignal.any([signal, stopped.signal])).finally(() => {
    done.abort();
  });
  await holding;
  if (ran.stopped) {
    // Another process, or this one when it begins anew, takes it up at once.
    await book.hold(number, nowMs());
    return;
  }
  const { exitCode, said } = ran;
  const end: EndedRun = { schemaVersion: 1, endedMs: nowMs(), exitCode, said };
  await book.end(number, end);
  observer?.take({ event: "schedule.ended", schedule: name, exitCode, tookMs: end.endedMs - claim.claimedMs });
  if (exitCode === 0) onNote?.(`${name}: done. ${said}`);
  else onWarning?.(`${name}: ended with exit code ${exitCode}. ${said} The next firing runs it again.`, "E_SCHEDULE");
}

function firstSight(nowMs: number, by: string): ClaimedRun {
  return { schemaVersion: 1, number: 0, firesMs: nowMs, missed: 0, again: false, claimedMs: nowMs, by };
}
