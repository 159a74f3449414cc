import assert from "node:assert/strict";
import { test } from "node:test";
import { levelOf } from "../../schemas/log-level.js";
import type { ArchivedSegment } from "../../schemas/observed.js";

const SEGMENT: ArchivedSegment = {
  event: "segment.archived",
  teacher: "t",
  partition: 0,
  origin: 0,
  start: 0,
  end: 10,
  counts: { in: 10, scored: 10, copied: 0, quarantined: 0, lost: 0 },
  quarantined: {},
  sizeBytes: 0,
  keptBytes: 0,
  watermarkMs: null,
};

test("the level of a segment is what was lost of it", () => {
  assert.equal(levelOf(SEGMENT), "debug");
  assert.equal(levelOf({ ...SEGMENT, counts: { ...SEGMENT.counts, scored: 9, quarantined: 1 } }), "warn");
  assert.equal(levelOf({ ...SEGMENT, counts: { ...SEGMENT.counts, scored: 8, quarantined: 1, lost: 1 } }), "error");
});

test("what is delayed is a warning, what comes many times a second is not in the log", () => {
  assert.equal(levelOf({ event: "loop.away", loop: "score", code: "E_LOG_IO", waitMs: 500 }), "warn");
  assert.equal(levelOf({ event: "version.refused", dataset: "d", code: "E_PUBLISH_EMPTY" }), "warn");
  assert.equal(levelOf({ event: "batch.scored", images: 16, tookMs: 3 }), null);
  assert.equal(levelOf({ event: "loop.turned", loop: "publish" }), null);
});
