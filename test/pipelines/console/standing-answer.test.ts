import assert from "node:assert/strict";
import { test } from "node:test";
import { StandingAnswer } from "../../../pipelines/console/standing-answer.js";

test("what many ask for is found once, stands for a while, longer where it took long, and not at all where it failed", async () => {
  let atMs = 0;
  let found = 0;
  let tookMs = 100;
  let fails = false;
  const answer = new StandingAnswer(
    async () => {
      await Promise.resolve();
      atMs += tookMs;
      if (fails) throw new Error("it failed");
      return ++found;
    },
    2000,
    () => atMs,
  );
  assert.deepEqual(await Promise.all([answer.get(), answer.get(), answer.get()]), [1, 1, 1]);
  await new Promise(setImmediate);
  atMs += 1900;
  assert.equal(await answer.get(), 1);
  atMs += 200;
  tookMs = 3000;
  assert.equal(await answer.get(), 2);
  await new Promise(setImmediate);
  atMs += 11_000;
  assert.equal(await answer.get(), 2, "it took three seconds: it stands for a minute");
  answer.forget();
  assert.equal(await answer.get(), 3);
  answer.forget();
  fails = true;
  await assert.rejects(answer.get(), /it failed/);
  await new Promise(setImmediate);
  fails = false;
  assert.equal(await answer.get(), 4);
});
