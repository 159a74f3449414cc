import assert from "node:assert/strict";
import { test } from "node:test";
import { windowText } from "../../../web/app/wording.js";

const DAY_MS = 86_400_000;

test("a window is said in a few words", () => {
  assert.equal(windowText({ kind: "global" }), "all that came");
  assert.equal(windowText({ kind: "global", startMs: 0 }), "since 1970-01-01 00:00:00 UTC");
  assert.equal(windowText({ kind: "tumbling", sizeMs: DAY_MS, offsetMs: 0 }), "each day");
  assert.equal(windowText({ kind: "tumbling", sizeMs: 90 * 60_000, offsetMs: 0 }), "each 90 min");
  assert.equal(windowText({ kind: "hopping", sizeMs: 7 * DAY_MS, everyMs: DAY_MS, offsetMs: 0 }), "7 days, every day");
});
