import assert from "node:assert/strict";
import { test } from "node:test";
import { openObserving } from "../../../pipelines/observe/observing.js";
import { configSchema } from "../../../schemas/config.js";

test("every process that is observed says outages of its brokers and of its store, each for itself, whether or not anybody reads its metrics", async (t) => {
  const said: string[] = [];
  let nowMs = 0;
  const observing = await openObserving({
    config: configSchema.parse({}),
    command: "gateway",
    loops: ["gateway"],
    onEvent: null,
    environment: {},
    warn: (line) => said.push(line),
    nowMs: () => nowMs,
  });
  t.after(() => observing.close());
  const fails = { attempt: 1, elapsedMs: 0, nextDelayMs: 0 };
  for (; nowMs <= 6_000; nowMs += 1_000) {
    observing.onRetry({ ...fails, doing: "append", failure: "the broker is away" });
    observing.ofStore.onRetry({ ...fails, doing: "write", failure: "the store is away" });
  }
  observing.ofStore.onSettled("write", "done");
  observing.onSettled("append", "done");
  assert.deepEqual(said, [
    "Waiting for 5 s, going on by itself: the broker is away",
    "Waiting for 5 s, going on by itself: the store is away",
    "Going on after 7 s: write.",
    "Going on after 7 s: append.",
  ]);
});
