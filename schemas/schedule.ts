import { z } from "zod";
import { cronAfter, cronLine } from "./trigger.js";

/** Commands, and words of them, that go on until they are stopped: such a run would never end. */
const ENDLESS: ReadonlySet<string> = new Set([
  "run",
  "serve",
  "tap",
  "mcp",
  "gateway",
  "schedules",
  "--follow",
  "--watch",
]);

const timeZone = z
  .string()
  .default("UTC")
  .describe("the zone of the cron line, such as Europe/Berlin")
  .refine(isTimeZone, "expected the name of a time zone, such as Europe/Berlin or UTC");

const command = z
  .array(z.string().min(1))
  .min(1)
  .describe("a command of sluice that ends by itself, a word an item: [gc, --yes]")
  .superRefine((words, context) => {
    const isLoop = words[0] === "loop" && !words.some((word) => /^--generations(=|$)/.test(word));
    const endless = isLoop ? "loop without --generations" : words.find((word) => ENDLESS.has(word));
    if (endless !== undefined)
      context.addIssue({
        code: "custom",
        message: `expected a command that ends by itself, found ${endless}, which goes on until it is stopped`,
      });
    if (words[0] === "sluice")
      context.addIssue({
        code: "custom",
        message: "expected the words behind sluice, found sluice itself: begin with the command",
      });
  });

export const scheduleSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "expected small letters, digits and dashes; at most 64")
    .describe("what the schedule is called; its runs are known by it"),
  cron: cronLine.describe("a cron line in timeZone: minute hour day month weekday"),
  timeZone,
  run: command,
});
export type Schedule = z.infer<typeof scheduleSchema>;

export const schedulesSchema = z
  .array(scheduleSchema)
  .default([])
  .superRefine((schedules, context) => {
    for (const [at, { name }] of schedules.entries()) {
      if (schedules.findIndex((one) => one.name === name) === at) continue;
      context.addIssue({
        code: "custom",
        path: [at, "name"],
        message: `expected a name that no other schedule has, found "${name}" again`,
      });
    }
  });

/** Somebody's claim to a run: no other process runs it. Number 0 claims nothing: it says when the schedule was first seen. */
export const claimedRunSchema = z.strictObject({
  schemaVersion: z.literal(1),
  number: z.int().nonnegative(),
  /** The firing, ms since the epoch */
  firesMs: z.int(),
  /** Firings before it, since the one of the number before, that nobody ran */
  missed: z.int().nonnegative(),
  /** Takes over a firing whose process has gone */
  again: z.boolean(),
  claimedMs: z.int(),
  /** Of the process */
  by: z.string(),
});
export type ClaimedRun = z.infer<typeof claimedRunSchema>;

/** What became of a run. */
export const endedRunSchema = z.strictObject({
  schemaVersion: z.literal(1),
  endedMs: z.int(),
  exitCode: z.int(),
  /** The last line that the command said */
  said: z.string(),
});
export type EndedRun = z.infer<typeof endedRunSchema>;

/** Until when a run's process is taken to live, ms since the epoch */
export const heldRunSchema = z.strictObject({ schemaVersion: z.literal(1), untilMs: z.int() });

/** More missed firings are not counted */
export const MOST_MISSED = 1000;
const MINUTE_MS = 60_000;

/** The last firing in (afterMs, nowMs], and how many lie before it there, at most `MOST_MISSED`; null where there is none. */
export function lastFiring(
  { cron, timeZone }: Pick<Schedule, "cron" | "timeZone">,
  afterMs: number,
  nowMs: number,
): { readonly firesMs: number; readonly missed: number } | null {
  const next = (fromMs: number): number => cronAfter(cron, fromMs, timeZone) ?? Number.POSITIVE_INFINITY;
  let missed = -1;
  let firesMs = afterMs;
  for (let at = next(afterMs); at <= nowMs && missed < MOST_MISSED; at = next(at)) {
    missed++;
    firesMs = at;
  }
  if (missed < 0) return null;
  if (next(firesMs) > nowMs) return { firesMs, missed };
  // Too many to walk through: the last one is looked for from the end.
  for (let span = MINUTE_MS; ; span *= 2) {
    let last = next(nowMs - span);
    if (last > nowMs) continue;
    for (let at = next(last); at <= nowMs; at = next(at)) last = at;
    return { firesMs: last, missed: MOST_MISSED };
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch (error) {
    // Any other error is not the name's.
    if (error instanceof RangeError) return false;
    throw error;
  }
}
