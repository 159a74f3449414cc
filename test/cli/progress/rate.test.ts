import assert from "node:assert/strict";
import { test } from "node:test";
import { Rate } from "../../../cli/progress/rate.js";

test("a steady count has its rate, and the time that is left", () => {
  const rate = new Rate(10_000);
  assert.equal(rate.perSecond(0), null);
  for (let second = 0; second <= 60; second++) rate.observe(second * 100, second * 1000);
  assert.equal(rate.perSecond(60_000), 100);
  assert.equal(rate.remainingMs(9000, 60_000), 30_000);
  assert.equal(rate.remainingMs(null, 60_000), null);
  assert.equal(rate.remainingMs(5000, 60_000), 0);
});

test("only the last seconds count", () => {
  const rate = new Rate(10_000);
  for (let second = 0; second <= 100; second++) rate.observe(second * 1000, second * 1000);
  for (let second = 1; second <= 10; second++) rate.observe(100_000 + second * 10, 100_000 + second * 1000);
  assert.equal(rate.perSecond(110_000), 10);
});

test("a standstill lets the rate fall, and nothing can be said of the end", () => {
  const rate = new Rate(10_000);
  rate.observe(0, 0);
  rate.observe(1000, 10_000);
  assert.equal(rate.perSecond(20_000), 50);
  const still = new Rate();
  still.observe(5, 0);
  still.observe(5, 1000);
  assert.equal(still.perSecond(1000), 0);
  assert.equal(still.remainingMs(10, 1000), null);
});

test("thousands of observations a second neither grow without bound nor bend the rate", () => {
  const rate = new Rate(10_000);
  for (let ms = 0; ms <= 50_000; ms++) rate.observe(ms * 3, ms);
  assert.equal(rate.perSecond(50_000), 3000);
});
