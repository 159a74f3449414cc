import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../../pipelines/observe/health.js";
import { MetricsRegistry } from "../../../pipelines/observe/registry.js";
import { RunMetrics } from "../../../pipelines/observe/run-metrics.js";

test("a schedule's failures are counted from 0 on, so that the first one is an increase", async () => {
  const nowMs = (): number => 0;
  const registry = await MetricsRegistry.open();
  const metrics = new RunMetrics({ registry, health: new Health([], nowMs), command: "schedules run", nowMs });
  metrics.take({ event: "schedule.followed", schedule: "gc" });
  const failed = async (): Promise<string | undefined> =>
    /^sluice_scheduled_runs_total\{schedule="gc",outcome="failed"\} (\d+)$/m.exec(await metrics.text())?.[1];
  assert.equal(await failed(), "0");
  metrics.take({ event: "schedule.ended", schedule: "gc", exitCode: 1, tookMs: 5 });
  assert.equal(await failed(), "1");
});

test(
  "a log that is away holds up no scrape: the last lag stands, and it is asked once",
  { timeout: 30_000 },
  async () => {
    let atMs = 0;
    const registry = await MetricsRegistry.open();
    const metrics = new RunMetrics({ registry, health: new Health([], () => atMs), command: "run", nowMs: () => atMs });
    let asked = 0;
    let come: (ends: readonly number[]) => void = () => undefined;
    const none = { fetch: 0, decode: 0, score: 0, archive: 0 };
    metrics.watch({
      stages: () => ({ busyMs: none, fullMs: none, waitingMs: 0, atWork: none, places: none, movedMs: 0 }),
      inFlight: () => ({ sizeBytes: 0, maxBytes: 1, waitedMs: 0 }),
      logEnds: () => {
        asked++;
        return asked === 1 ? Promise.resolve([9]) : new Promise((resolve) => (come = resolve));
      },
    });
    metrics.take({ event: "partition.given", partition: 0, end: 2, follows: true });
    const lag = async (): Promise<string | undefined> =>
      /^sluice_lag_records\{partition="0"\} (\d+)$/m.exec(await metrics.text())?.[1];
    assert.equal(await lag(), "7");
    for (let scrape = 0; scrape < 1; scrape++) {
      atMs += 5000;
      assert.equal(await lag(), "7");
    }
    assert.equal(asked, 2, "an answer that is waited for is asked for once");
    come([30]);
    await new Promise(setImmediate);
    atMs += 5000;
    const next = lag();
    come([31]);
    assert.equal(await next, "29");
  },
);
