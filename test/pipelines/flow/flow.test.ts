import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { batches, ByteBudget, mapOrdered, prefetch } from "../../../pipelines/flow/flow.js";

async function collect<T>(flow: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of flow) all.push(item);
  return all;
}

async function* from<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}

test("mapOrdered keeps the order and never runs more than its bound at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      async (delays, concurrency) => {
        let running = 0;
        let most = 0;
        const made = await collect(
          mapOrdered(from(delays.entries()), concurrency, async ([index, delayMs]) => {
            most = Math.max(most, ++running);
            await sleep(delayMs);
            running--;
            return index;
          }),
        );
        assert.deepEqual(made, [...delays.keys()]);
        assert.ok(most <= concurrency);
      },
    ),
    { numRuns: 25 },
  );
});

test("mapOrdered pulls no more than its bound ahead of its consumer", async () => {
  let pulled = 0;
  async function* source(): AsyncGenerator<number, void, undefined> {
    for (;;) {
      await Promise.resolve();
      yield pulled++;
    }
  }
  const flow = mapOrdered(source(), 3, (item) => Promise.resolve(item));
  await flow.next();
  await sleep(10);
  assert.ok(pulled <= 4, `pulled ${pulled}`);
  await flow.return();
});

test("mapOrdered gives out a finished result while its source has nothing new", async () => {
  async function* source(): AsyncGenerator<number, void, undefined> {
    yield 1;
    await new Promise<never>(() => undefined);
  }
  const flow = mapOrdered(source(), 4, (item) => Promise.resolve(item * 10));
  assert.deepEqual(await flow.next(), { done: false, value: 10 });
});

test("a failing task surfaces at its place, after the results before it, and closes the source", async () => {
  let closed = false;
  async function* source(): AsyncGenerator<number, void, undefined> {
    try {
      yield* [0, 1, 2, 3, 4, 5];
    } finally {
      closed = true;
      await Promise.resolve();
    }
  }
  const seen: number[] = [];
  await assert.rejects(async () => {
    const flow = mapOrdered(source(), 3, async (item) => {
      await Promise.resolve();
      if (item === 2) throw new Error("item 2");
      return item;
    });
    for await (const item of flow) seen.push(item);
  }, /item 2/);
  assert.deepEqual(seen, [0, 1]);
  assert.ok(closed);
});

test("a flow whose consumer leaves does not wait for a source that waits for ever", async () => {
  async function* source(): AsyncGenerator<number, void, undefined> {
    yield 1;
    await new Promise<never>(() => undefined);
  }
  for await (const batch of batches(
    mapOrdered(source(), 2, (item) => Promise.resolve(item)),
    { max: 1, maxDelayMs: 1000 },
  )) {
    assert.deepEqual(batch, [1]);
    break;
  }
});

test("batches fill up by weight, by number, or by time, whichever comes first", async () => {
  assert.deepEqual(await collect(batches(from([1, 2, 3, 4, 5]), { max: 2, maxDelayMs: 1000 })), [[1, 2], [3, 4], [5]]);
  assert.deepEqual(
    await collect(batches(from([5, 0, 0, 0, 5, 1]), { max: 6, maxDelayMs: 1000, weight: (item) => item, maxItems: 3 })),
    [
      [5, 0, 0],
      [0, 5, 1],
    ],
  );
  async function* slow(): AsyncGenerator<number, void, undefined> {
    yield 1;
    await sleep(60);
    yield 2;
  }
  assert.deepEqual(await collect(batches(slow(), { max: 10, maxDelayMs: 5 })), [[1], [2]]);
});

test("the first item after a pause waits shortly, those after it for the rest of the delay", async () => {
  let clock = 0;
  async function* source(): AsyncGenerator<number, void, undefined> {
    yield 1;
    await sleep(40);
    clock = 100;
    yield 2;
    await sleep(40);
    yield 3;
    await sleep(200);
    clock = 5_000;
    yield 4;
    await sleep(40);
    yield 5;
  }
  const afterPause = { maxDelayMs: 2, nowMs: () => clock };
  const given = await collect(batches(source(), { max: 10, maxDelayMs: 150, afterPause }));
  // By the clock that is asked, only 1 and 4 come after a pause.
  assert.deepEqual(given, [[1], [2, 3], [4], [5]]);
});

test("batches lose and repeat nothing, whatever the timing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 6 }),
      async (delays, max) => {
        async function* source(): AsyncGenerator<number, void, undefined> {
          for (const [index, delayMs] of delays.entries()) {
            if (delayMs > 0) await sleep(delayMs);
            yield index;
          }
        }
        const groups = await collect(batches(source(), { max, maxDelayMs: 2 }));
        assert.deepEqual(groups.flat(), [...delays.keys()]);
        assert.ok(groups.every((group) => group.length > 0 && group.length <= max));
      },
    ),
    { numRuns: 25 },
  );
});

test("prefetch runs ahead by its bound", async () => {
  let pulled = 0;
  async function* source(): AsyncGenerator<number, void, undefined> {
    while (pulled < 100) {
      await Promise.resolve();
      yield pulled++;
    }
  }
  assert.deepEqual(await collect(prefetch(source(), 5)), [...Array(100).keys()]);
});

test("a byte budget holds admission back until enough is released", async () => {
  const budget = new ByteBudget(100);
  await budget.admit();
  budget.take(150);
  let admitted = false;
  const waiting = budget.admit().then(() => {
    admitted = true;
  });
  await sleep(1);
  assert.equal(admitted, false);
  budget.release(60);
  await waiting;
  assert.equal(budget.usedBytes, 90);
});
