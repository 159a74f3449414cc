import assert from "node:assert/strict";
import { setImmediate as later } from "node:timers/promises";
import { test } from "node:test";
import { sleepUntil } from "../../../pipelines/flow/sleep-until.js";
import { Together } from "../../../pipelines/flow/together.js";

const never = new AbortController().signal;

test("all that was begun is waited for, and gives what it gives", async () => {
  const all = new Together(never);
  const first = all.begin(later(1));
  const second = all.begin(later("two"));
  await all.ended();
  assert.deepEqual([await first, await second], [1, "two"]);
  assert.equal(all.signal.aborted, false);
});

test("what fails first ends the rest, and is what is thrown, whatever else fails then", async () => {
  const all = new Together(never);
  const ended: string[] = [];
  void all.begin(
    sleepUntil(60_000, all.signal).then(() => {
      ended.push("waiting");
      throw new Error("told to end");
    }),
  );
  void all.begin(later().then(() => Promise.reject(new Error("the disk is full"))));
  await assert.rejects(all.ended(), /the disk is full/);
  assert.deepEqual(ended, ["waiting"]);
});

test("the caller's stop is no failure", async () => {
  const stop = new AbortController();
  const all = new Together(stop.signal);
  void all.begin(sleepUntil(60_000, all.signal));
  stop.abort();
  await all.ended();
});
