import assert from "node:assert/strict";
import { test } from "node:test";
import { restMs } from "../../../pipelines/flow/rest-between-looks.js";

test("a followed source is looked at as often as is wanted, and where nothing is new for a tenth of the time at most", () => {
  assert.equal(restMs({ found: 0, tookMs: 5, rescanMs: 10_000 }), 10_000);
  assert.equal(restMs({ found: 3, tookMs: 60_000, rescanMs: 10_000 }), 10_000);
  const tookMs = 60_000;
  const rest = restMs({ found: 0, tookMs, rescanMs: 10_000 });
  assert.ok(Math.abs(tookMs / (tookMs + rest) - 0.1) < 1e-9, `${rest}`);
});
