import assert from "node:assert/strict";
import { test } from "node:test";
import { lastFiring, MOST_MISSED, scheduleSchema, schedulesSchema, type Schedule } from "../../schemas/schedule.js";
import { cronAfter } from "../../schemas/trigger.js";

const at = (time: string): number => Date.parse(time);

test("a night's line fires at its local time in every zone, on the days when clocks change as well", () => {
  // From Python 3.11's zoneinfo: the local times below, as UTC. 02:30 is not there on 29 March 2026 in Berlin, and there twice on 25 October.
  const expected: readonly (readonly [timeZone: string, after: string, fires: string])[] = [
    ["Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"],
    ["Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z"],
    ["Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"],
    ["Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    ["America/New_York", "2026-03-08T12:00:00Z", "2026-03-09T06:30:00Z"],
    ["America/New_York", "2026-11-01T12:00:00Z", "2026-11-02T07:30:00Z"],
    ["Asia/Kolkata", "2026-06-01T00:00:00Z", "2026-06-01T21:00:00Z"],
    ["Australia/Lord_Howe", "2026-07-01T00:00:00Z", "2026-07-01T16:00:00Z"],
    ["UTC", "2026-03-28T12:00:00Z", "2026-03-29T02:30:00Z"],
  ];
  for (const [timeZone, after, fires] of expected) {
    assert.equal(new Date(cronAfter("30 2 * * *", at(after), timeZone)!).toISOString(), new Date(fires).toISOString());
  }
});

test("of the firings that passed the last one is due, and the others are counted", () => {
  const every = { cron: "*/10 * * * *", timeZone: "UTC" };
  const day = at("2026-11-30T00:00:00Z");
  const minutes = (count: number): number => day + count * 60_000;
  assert.equal(lastFiring(every, day, minutes(9)), null);
  assert.deepEqual(lastFiring(every, day, minutes(10)), { firesMs: minutes(10), missed: 0 });
  assert.deepEqual(lastFiring(every, day, minutes(59)), { firesMs: minutes(50), missed: 4 });
  // Nobody was there for a year.
  const year = lastFiring({ cron: "* * * * *", timeZone: "Europe/Berlin" }, day, minutes(525_600) + 1);
  assert.deepEqual(year, { firesMs: minutes(525_600), missed: MOST_MISSED });
  const rare = lastFiring({ cron: "0 0 29 2 *", timeZone: "UTC" }, at("1980-01-01T00:00:00Z"), day);
  assert.deepEqual(rare, { firesMs: at("2024-02-29T00:00:00Z"), missed: 11 });
});

test("what cannot be a schedule is refused with what was expected", () => {
  const good = { name: "gc", cron: "0 3 * * *", run: ["gc", "--yes"] };
  assert.equal(scheduleSchema.parse(good).timeZone, "UTC");
  const refused = (change: Partial<Record<keyof Schedule, unknown>>): string =>
    scheduleSchema
      .safeParse({ ...good, ...change })
      .error?.issues.map(({ message }) => message)
      .join("; ") ?? "taken";
  assert.match(refused({ timeZone: "Mars/Olympus" }), /expected the name of a time zone, such as Europe\/Berlin/);
  assert.match(refused({ cron: "at noon" }), /expected a cron line \(minute hour day month weekday\)/);
  assert.match(refused({ cron: "0 0 30 2 *" }), /expected a cron line that fires/);
  assert.match(refused({ run: ["serve"] }), /expected a command that ends by itself, found serve/);
  assert.match(refused({ run: ["ingest", "in", "--follow"] }), /ends by itself, found --follow/);
  assert.match(refused({ run: ["loop", "in", "--test", "t"] }), /ends by itself, found loop without --generations/);
  assert.equal(refused({ run: ["loop", "in", "--test", "t", "--generations", "1"] }), "taken");
  assert.match(refused({ run: ["sluice", "gc"] }), /found sluice itself/);
  assert.match(refused({ name: "Nightly GC" }), /expected small letters, digits and dashes/);
  assert.match(
    schedulesSchema.safeParse([good, good]).error?.message ?? "taken",
    /expected a name that no other schedule has, found \\"gc\\" again/,
  );
});
