import { test } from "node:test";
import assert from "node:assert/strict";
import { meteredStore, type StoreRequest } from "../../../pipelines/observe/metered-store.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

test("every request is told of once, with what came of it", async () => {
  const told: string[] = [];
  const store = meteredStore(openMemoryStore(), ({ op, outcome, seconds }: StoreRequest) => {
    assert.ok(seconds >= 0);
    told.push(`${op} ${outcome}`);
  });
  const bytes = new Uint8Array(4);
  assert.equal(await store.putIfAbsent("a/b", bytes), "created");
  assert.equal(await store.putIfAbsent("a/b", bytes), "exists");
  await store.get("a/b");
  await assert.rejects(store.get("a/c"), { code: "E_STORE_MISSING" });
  await store.getRange("a/b", 0, 2);
  assert.equal(await store.head("a/c"), null);
  for await (const one of store.list("a/")) assert.equal(one.key, "a/b");
  for await (const chunk of store.getStream("a/b")) assert.equal(chunk.length, 4);
  await store.delete("a/b");
  assert.deepEqual(told, [
    "create ok",
    "create exists",
    "get ok",
    "get absent",
    "range ok",
    "head absent",
    "list ok",
    "stream ok",
    "delete ok",
  ]);
});
