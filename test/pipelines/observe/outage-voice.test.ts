import assert from "node:assert/strict";
import { test } from "node:test";
import { OutageVoice } from "../../../pipelines/observe/outage-voice.js";

test("an outage is said after seconds, again at intervals, and when it ends; what mends at once is not", () => {
  const said: string[] = [];
  let nowMs = 0;
  const voice = new OutageVoice(
    (line) => said.push(line),
    () => nowMs,
  );
  const failed = (doing: string): void => {
    voice.onRetry({ doing, failure: `${doing} failed`, attempt: 1, elapsedMs: 0, nextDelayMs: 0 });
  };
  failed("append");
  nowMs = 1_000;
  voice.onSettled("append", "done");
  assert.deepEqual(said, []);
  for (; nowMs <= 45_000; nowMs += 1_000) for (const doing of ["append", "fetch"]) failed(doing);
  assert.deepEqual(said, [
    "Waiting for 5 s, going on by itself: append failed",
    "Waiting for 35 s, going on by itself: append failed",
  ]);
  // One that works says nothing of the other.
  voice.onSettled("fetch", "done");
  assert.equal(said.length, 2);
  voice.onSettled("append", "done");
  assert.equal(said[2], "Going on after 45 s: append.");
  for (const end = nowMs + 6_000; nowMs <= end; nowMs += 1_000) failed("append");
  assert.equal(said.length, 4);
  // Who asked for it says that it has failed.
  voice.onSettled("append", "given up");
  assert.equal(said.length, 4);
});
