import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../../operators/training/seeded-random.js";

const first = (random: SeededRandom, count: number): number[] => Array.from({ length: count }, () => random.uint32());

test("the numbers are those of sfc32", () => {
  // An oracle in big integers, written from the definition: output a + b + counter, then the three words are mixed.
  const word = (value: bigint): bigint => BigInt.asUintN(32, value);
  let [a, b, c, counter] = [7n, 0n, 0x811c9dc5n, 1n];
  const next = (): bigint => {
    const sum = word(a + b + counter);
    counter += 1n;
    a = b ^ (b >> 9n);
    b = word(c + (c << 3n));
    c = word(word((c << 21n) | (c >> 11n)) + sum);
    return sum;
  };
  for (let round = 0; round < 15; round++) next();
  assert.deepEqual(
    first(new SeededRandom(7), 100),
    Array.from({ length: 100 }, () => Number(next())),
  );
});

test("seeds and purposes give streams of their own, the same ones each time", () => {
  const streams = [
    new SeededRandom(1),
    new SeededRandom(2),
    new SeededRandom(2 ** 32 + 1),
    new SeededRandom(1, "a"),
    new SeededRandom(1, "b"),
  ].map((random) => first(random, 4).join());
  assert.equal(new Set(streams).size, streams.length);
  assert.equal(first(new SeededRandom(1, "a"), 4).join(), streams[3]);
});

test("shuffling keeps every item, and every order of three comes about as often", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), fc.array(fc.integer()), (seed, items) => {
      const shuffled = new SeededRandom(seed).shuffle([...items]);
      assert.deepEqual([...shuffled].sort(), [...items].sort());
    }),
  );
  const orders = new Map<string, number>();
  const random = new SeededRandom(3);
  for (let round = 0; round < 6000; round++) {
    const order = random.shuffle([0, 1, 2]).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assert.equal(orders.size, 6);
  // 1000 each expected; five standard deviations are 144.
  for (const [order, count] of orders) assert.ok(Math.abs(count - 1000) < 144, `${order}: ${count}`);
});

test("normal numbers have mean 0 and spread 1; whole numbers stay below their end", () => {
  const random = new SeededRandom(5);
  const values = Array.from({ length: 20_000 }, () => random.normal());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  assert.ok(Math.abs(mean) < 0.04 && Math.abs(spread - 1) < 0.03, `${mean} ${spread}`);
  const seen = new Set(Array.from({ length: 1000 }, () => random.below(5)));
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4]);
});
