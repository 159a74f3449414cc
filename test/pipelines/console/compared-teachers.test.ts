import assert from "node:assert/strict";
import { test } from "node:test";
import { ComparedTeachers } from "../../../pipelines/console/compared-teachers.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const MINUTE_MS = 60_000;
const pair = (first: string, second: string) => ({ first, second, classCount: 2 });

test("a comparison that takes long ends, one is made at a time, and those that ended stand for a while", async () => {
  const memory = openMemoryStore();
  let begun = 0;
  let open = (): void => undefined;
  let gate = new Promise<void>((resolve) => (open = resolve));
  const store = {
    ...memory,
    async get(key: string) {
      begun++;
      await gate;
      return memory.get(key);
    },
  };
  let atMs = 0;
  const signal = new AbortController().signal;
  const compared = new ComparedTeachers({ store, stream: "images", nowMs: () => atMs, signal });
  const waiting = { found: null, done: 0 };
  assert.deepEqual(await compared.of(pair("a", "b")), waiting);
  assert.equal(begun, 1);
  // Longer than an answer stands
  atMs += 6 * MINUTE_MS;
  assert.deepEqual(await compared.of(pair("a", "b")), waiting);
  assert.deepEqual(await compared.of(pair("a", "c")), waiting);
  assert.equal(begun, 1, "scans pile up");
  open();
  const ended = await compared.of(pair("a", "b"));
  assert.equal(ended.found?.both, 0);
  assert.equal((await compared.of(pair("a", "c"))).found?.both, 0);
  assert.equal(begun, 2);
  atMs += 4 * MINUTE_MS;
  for (const second of ["b", "c", "b"]) assert.notEqual((await compared.of(pair("a", second))).found, null);
  assert.equal(begun, 2, "both are held");
  atMs += 2 * MINUTE_MS;
  gate = new Promise<void>((resolve) => (open = resolve));
  assert.deepEqual(await compared.of(pair("a", "b")), waiting, "an old one is made anew");
  assert.notEqual((await compared.of(pair("a", "c"))).found, null, "the old one stands until its turn comes");
  open();
  assert.notEqual((await compared.of(pair("a", "b"))).found, null);
  assert.equal(begun, 3);
});
