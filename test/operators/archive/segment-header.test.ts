import assert from "node:assert/strict";
import { test } from "node:test";
import { readSegmentHeader, writeSegment } from "../../../operators/archive/segment-objects.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import type { Segment } from "../../../schemas/segment.js";
import { testSegment } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const chain = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const images = Array.from({ length: 2000 }, (_, image) => ({ image, logits: [1, 0] }));
const segment = testSegment(chain, 0, images, 2);

function rejecting(count: number): Segment {
  const reason = "expected an image, found something else: ".repeat(10);
  const rejected = Array.from({ length: count }, (_, offset) => ({
    offset: images.length + offset,
    code: "E_IMAGE_FORMAT" as const,
    reason,
    sha256: null,
    uri: `file:///${offset}.jpg`,
    eventTimeMs: 0,
    retryOf: null,
  }));
  const { counts, end } = segment.header;
  const more = { ...counts, in: counts.in + count, quarantined: count };
  return { ...segment, header: { ...segment.header, end: end + count, counts: more, rejected } };
}

test("a header is read without the rows of its segment", async () => {
  const store = openMemoryStore();
  await writeSegment(store, chain, segment);
  let readBytes = 0;
  const counting = {
    ...store,
    get: () => assert.fail("reads the whole segment"),
    async getRange(key: string, start: number, end: number) {
      const bytes = await store.getRange(key, start, end);
      readBytes += bytes.length;
      return bytes;
    },
  };
  assert.deepEqual(await readSegmentHeader(counting, chain, 0), segment.header);
  const { sizeBytes } = (await store.head(keys.segment(chain, 0)))!;
  assert.ok(readBytes * 5 < sizeBytes, `read ${readBytes} of ${sizeBytes} bytes`);
});

test("a header of any length is read, and none where there is no segment", async () => {
  for (const count of [0, 10, 100]) {
    const store = openMemoryStore();
    const written = rejecting(count);
    await writeSegment(store, chain, written);
    assert.deepEqual(await readSegmentHeader(store, chain, 0), written.header);
    assert.equal(await readSegmentHeader(store, chain, 1), null);
  }
});

test("a segment that is cut short anywhere has no header", async () => {
  const store = openMemoryStore();
  await writeSegment(store, chain, segment);
  const key = keys.segment(chain, 0);
  const whole = await store.get(key);
  for (const left of [0, 1, 6, 8, 9, 10, 17, 18, 300, 20_000, whole.length - 100, whole.length - 6, whole.length - 1]) {
    await store.put(key, whole.subarray(0, left));
    await assert.rejects(readSegmentHeader(store, chain, 0), (error) => isSluiceError(error, "E_SEGMENT_CORRUPT"));
  }
});
