import type { ListedSchedule } from "../../pipelines/schedules/list-schedules.js";
import { shellWord } from "../../schemas/shell-word.js";
import { durationText, tableText } from "../wording.js";

/** As the members of a `--json` result; times in ms since the epoch. */
export function schedulesObject(listed: readonly ListedSchedule[], nowMs: number): object {
  return {
    schedules: listed.map(({ name, cron, timeZone, run, nextMs, newest }) => ({
      name,
      cron,
      timeZone,
      run,
      nextMs,
      last:
        newest === null || newest.claim.number === 0
          ? null
          : {
              firesMs: newest.claim.firesMs,
              startedMs: newest.claim.claimedMs,
              missed: newest.claim.missed,
              by: newest.claim.by,
              state: stateOf(newest, nowMs),
              endedMs: newest.end?.endedMs ?? null,
              exitCode: newest.end?.exitCode ?? null,
              said: newest.end?.said ?? null,
            },
    })),
  };
}

/** The same for people. */
export function schedulesText(listed: readonly ListedSchedule[], nowMs: number): string {
  if (listed.length === 0) return "No schedules: sluice.yaml names none. docs/operations.md shows how.";
  return tableText(
    ["schedule", "command", "next", "last run"],
    listed.map((one) => [one.name, one.run.map(shellWord).join(" "), nextText(one), lastText(one, nowMs)]),
  );
}

function nextText({ nextMs, timeZone }: ListedSchedule): string {
  if (nextMs === null) return "never again";
  // 2026-03-29 03:30 in the schedule's own zone.
  const local = new Date(nextMs).toLocaleString("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return `${local} ${timeZone}`;
}

function lastText({ newest }: ListedSchedule, nowMs: number): string {
  if (newest === null) return "none: nobody has worked by it yet";
  const { claim, end } = newest;
  if (claim.number === 0) return "none yet";
  const missed = claim.missed === 0 ? "" : `, ${claim.missed} missed before it`;
  const state = stateOf(newest, nowMs);
  if (end === null) {
    const since = durationText(nowMs - claim.claimedMs);
    return state === "running"
      ? `running for ${since}, by ${claim.by}${missed}`
      : `left ${since} ago by ${claim.by}: the next process takes it over`;
  }
  const ago = `${durationText(nowMs - end.endedMs)} ago`;
  const took = durationText(end.endedMs - claim.claimedMs);
  return state === "ok"
    ? `ok ${ago}, took ${took}${missed}`
    : `failed ${ago} (exit code ${end.exitCode})${missed}: ${end.said}`;
}

function stateOf({ end, heldUntilMs }: NonNullable<ListedSchedule["newest"]>, nowMs: number): string {
  if (end !== null) return end.exitCode === 0 ? "ok" : "failed";
  return heldUntilMs !== null && heldUntilMs > nowMs ? "running" : "left";
}
