import assert from "node:assert/strict";
import { test } from "node:test";
import { BudgetShare, ByteBudget, mapOrdered } from "../../../pipelines/flow/flow.js";

async function* numbers(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) yield number;
}

test("items that fill a budget before they are handed on do not hold up the flow", async () => {
  const budget = new ByteBudget(10);
  const mapped = mapOrdered(
    numbers(5),
    3,
    (number) => {
      budget.take(10);
      return Promise.resolve(number);
    },
    () => budget.admit(),
  );
  const seen: number[] = [];
  // The room is given back by who takes the item: it must come to them while the next one waits for room.
  for await (const number of mapped) {
    seen.push(number);
    budget.release(10);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
});

test("a share that ends gives back what it holds, once", () => {
  const budget = new ByteBudget(100);
  const failed = new BudgetShare(budget);
  const other = new BudgetShare(budget);
  failed.take(60);
  other.take(10);
  failed.release(20);
  failed.end();
  failed.take(50);
  failed.release(40);
  failed.end();
  assert.equal(budget.usedBytes, 10);
});
