import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ReadBlocks } from "../../../operators/archive/read-blocks.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const SIZE = 1000;
const OBJECT = Buffer.from(Array.from({ length: SIZE }, (_, at) => (at * 7) % 251));

async function counted(mostBytes: number) {
  const store = openMemoryStore();
  for (const key of ["a", "b"]) await store.put(key, OBJECT);
  const asked: string[] = [];
  const counting = {
    getRange: (key: string, start: number, end: number) => {
      asked.push(`${key} ${start}-${end}`);
      return store.getRange(key, start, end);
    },
  };
  return { store, asked, blocks: new ReadBlocks(counting, { blockBytes: 64, mostBytes }) };
}

test("any range is the store's, however it lies to the blocks and the object's end", async () => {
  const range = fc.tuple(fc.constantFrom("a", "b"), fc.nat(SIZE + 100), fc.nat(150));
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 40 }), async (ranges) => {
      const { store, blocks } = await counted(256);
      const read = ranges.map(([key, start, length]) => blocks.getRange(key, start, start + length));
      for (const [at, [key, start, length]] of ranges.entries()) {
        const expected = await store.getRange(key, start, start + length);
        assert.deepEqual(Buffer.from(await read[at]!), Buffer.from(expected));
      }
    }),
  );
});

test("small ranges in order cost a read for each block, also when they are asked for at once", async () => {
  const { asked, blocks } = await counted(1024);
  await Promise.all(Array.from({ length: 32 }, (_, at) => blocks.getRange("a", 10 * at, 10 * at + 10)));
  for (let at = 0; at < 32; at++) await blocks.getRange("a", 10 * at, 10 * at + 10);
  assert.deepEqual(asked, ["a 0-64", "a 64-128", "a 128-192", "a 192-256", "a 256-320"]);
});

test("what was asked for last is held, up to the bound", async () => {
  const { asked, blocks } = await counted(128);
  for (const at of [0, 64, 0, 128, 0, 64]) await blocks.getRange("a", at, at + 8);
  assert.deepEqual(asked, ["a 0-64", "a 64-128", "a 128-192", "a 64-128"]);
});

test("a read that fails is not held, and tells all that wait for it", async () => {
  const { store } = await counted(128);
  let failures = 1;
  const blocks = new ReadBlocks({
    getRange: async (key, start, end) => {
      if (failures-- > 0) throw new Error("the store failed");
      return store.getRange(key, start, end);
    },
  });
  const both = [blocks.getRange("a", 0, 8), blocks.getRange("a", 8, 16)];
  for (const one of both) await assert.rejects(one, /the store failed/);
  assert.deepEqual(Buffer.from(await blocks.getRange("a", 0, 8)), OBJECT.subarray(0, 8));
});
