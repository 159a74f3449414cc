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
