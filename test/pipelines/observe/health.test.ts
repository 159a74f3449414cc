import assert from "node:assert/strict";
import { test } from "node:test";
import { StageClock } from "../../../pipelines/flow/stage-clock.js";
import { Health, STILL_MS } from "../../../pipelines/observe/health.js";

test("ready: every loop has taken up its work, and none waits for a service", () => {
  const health = new Health(["score", "publish"], () => 0);
  assert.equal(health.isReady, false);
  health.take({ event: "loop.ready", loop: "score" });
  assert.equal(health.isReady, false);
  health.take({ event: "loop.ready", loop: "publish" });
  assert.equal(health.isReady, true);
  health.take({ event: "loop.away", loop: "publish", code: "E_LOG_IO", waitMs: 500 });
  assert.equal(health.isReady, false);
  health.take({ event: "loop.ready", loop: "publish" });
  assert.equal(health.isReady, true);
});

test("healthy: a loop that ticks has ticked lately; one that stands by need not", () => {
  let nowMs = 0;
  const health = new Health(["topk"], () => nowMs);
  health.take({ event: "loop.ready", loop: "topk" });
  nowMs = 10 * STILL_MS;
  assert.equal(health.isHealthy, true, "a worker without a shard stands by");
  health.take({ event: "loop.turned", loop: "topk" });
  nowMs += STILL_MS - 1;
  assert.equal(health.isHealthy, true);
  nowMs += 1;
  assert.equal(health.isHealthy, false);
  assert.deepEqual(health.loops(), [{ loop: "topk", ready: true, stillMs: STILL_MS }]);
  health.take({ event: "loop.idle", loop: "topk" });
  assert.equal(health.isHealthy, true);
});

test("healthy: a scorer with nothing to score waits as long as it must; with an image that never ends it stands still", async () => {
  let nowMs = 0;
  const clock = new StageClock(() => nowMs);
  const health = new Health(["score"], () => nowMs);
  health.watch({ stages: () => clock.totals() });
  nowMs = 100 * STILL_MS;
  assert.equal(health.isHealthy, true);
  clock.begin("decode");
  nowMs += STILL_MS;
  assert.equal(health.isHealthy, false);
  // Another item moves: images go on beside the one that hangs.
  await clock.run("fetch", () => Promise.resolve());
  assert.equal(health.isHealthy, true);
});
