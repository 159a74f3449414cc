import assert from "node:assert/strict";
import { test } from "node:test";
import { SegmentBuilder, rowScores } from "../../../operators/archive/segment-builder.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { BYTES } from "../../../schemas/scored-batch.js";
import { imageDigest, testSegment } from "../../fixtures/archive.js";

const chain = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const LOGITS = [
  [3, 9, 1, 7],
  [8, 2, 6, 4],
];

/** Copies both rows of a segment of `from` classes a row into one of `to`. */
function copied(from: number, to: number) {
  const { batch } = testSegment(
    chain,
    0,
    LOGITS.map((logits, image) => ({ image, logits })),
    from,
  );
  const builder = new SegmentBuilder({
    partition: 0,
    topM: to,
    classCount: null,
    embeddingSize: null,
    start: 10,
    watermarkMs: null,
  });
  for (const row of [0, 1]) {
    builder.add(
      {
        offset: 10 + row,
        eventTimeMs: 0,
        digest: imageDigest(row),
        uri: "file:///again",
        sizeBytes: 1,
        licence: null,
        origin: null,
        retryOf: null,
      },
      rowScores(batch, row),
      true,
      BYTES.refer,
    );
  }
  return builder.build();
}

test("a row copied from one with more classes keeps its best, and the next row its own", () => {
  for (const from of [2, 3, 4]) {
    const { classes, keys, logits } = copied(from, 2);
    assert.deepEqual([...classes], [1, 3, 0, 2]);
    assert.deepEqual([...logits], [9, 7, 8, 6]);
    assert.deepEqual([...keys], [...copied(2, 2).keys]);
  }
});

test("a row with fewer classes than the segment is refused: its empty places would rank first", () => {
  assert.throws(
    () => copied(2, 3),
    (error) => isSluiceError(error, "E_INTERNAL"),
  );
});
