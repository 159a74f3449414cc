import assert from "node:assert/strict";
import { test } from "node:test";
import { appendLabels, archivedLabels, labelFrontier } from "../../../operators/archive/image-labels.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { labelsAtOrBelow, type ImageLabel, type LabelFrontier } from "../../../schemas/image-label.js";
import { keys } from "../../../schemas/keys.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";

const stream = "images";

function labelOf(number: number): ImageLabel {
  return { sha256: String(number).padStart(64, "0"), verdict: "none", timeMs: number, by: "someone" };
}

async function numbers(store: MemoryStore, frontier: LabelFrontier): Promise<number[]> {
  const found: number[] = [];
  for await (const { timeMs } of archivedLabels(store, stream, frontier)) found.push(timeMs);
  return found;
}

test("writers at the same time lose nothing and double nothing, each keeps its order", async () => {
  const store = openMemoryStore();
  const writers = Array.from({ length: 8 }, (_, writer) => writer);
  const places = await Promise.all(
    writers.flatMap((writer) =>
      [0, 1, 2].map(async (turn) => {
        const portion = Array.from({ length: 1 + writer }, (_, index) => labelOf(writer * 1000 + turn * 100 + index));
        return { portion, ...(await appendLabels(store, stream, portion)) };
      }),
    ),
  );
  const frontier = await labelFrontier(store, stream);
  assert.deepEqual(frontier, [{ partition: 0, end: 3 * 36 }]);
  const found = await numbers(store, frontier);
  for (const { portion, start, end } of places) {
    assert.deepEqual(
      found.slice(start, end),
      portion.map(({ timeMs }) => timeMs),
    );
  }
  const [first] = places.toSorted((a, b) => a.start - b.start);
  assert.deepEqual(await numbers(store, [{ partition: 0, end: first!.end }]), found.slice(0, first!.end));
});

test("a stream without labels has none, and another stream's are not its", async () => {
  const store = openMemoryStore();
  await appendLabels(store, "others", [labelOf(1)]);
  assert.deepEqual(await labelFrontier(store, stream), []);
  assert.deepEqual(await numbers(store, []), []);
});

test("a segment that is missing, corrupt or in another's place is named", async () => {
  const store = openMemoryStore();
  for (let number = 0; number < 4; number++) await appendLabels(store, stream, [labelOf(number)]);
  const frontier = await labelFrontier(store, stream);
  const key = keys.labelSegment(stream, 0, 2);
  const bytes = await store.get(key);
  const refuses = async (code: "E_CHAIN_GAP" | "E_SEGMENT_CORRUPT", message: RegExp): Promise<void> => {
    const isRight = (error: unknown): boolean => isSluiceError(error, code) && message.test(error.message);
    await assert.rejects(numbers(store, frontier), isRight);
    await assert.rejects(labelFrontier(store, stream), isRight);
    // What comes before is not touched by it.
    assert.deepEqual(await numbers(store, [{ partition: 0, end: 2 }]), [0, 1]);
  };
  await store.delete(key);
  await refuses("E_CHAIN_GAP", /labels of images\/0 at offset 2, found none at labels\/images\/0\/0*2\.json/);
  await store.put(key, bytes.slice(0, 40));
  await refuses("E_SEGMENT_CORRUPT", /labels at labels\/images\/0\/0*2\.json, found bytes that do not read/);
  await store.put(key, await store.get(keys.labelSegment(stream, 0, 1)));
  await refuses("E_SEGMENT_CORRUPT", /from offset 2 on .* found those of images\/0 over \[1, 2\)/);
  await store.delete(keys.labelSegment(stream, 0, 3));
  await store.delete(key);
  await assert.rejects(numbers(store, frontier), (error) => isSluiceError(error, "E_CHAIN_GAP"));
  await store.put(key, bytes);
  await assert.rejects(numbers(store, [{ partition: 0, end: 5 }]), (error) => isSluiceError(error, "E_CHAIN_GAP"));
});

test("frontiers of labels compare by partition", () => {
  const of = (...ends: number[]): LabelFrontier => ends.map((end, partition) => ({ partition, end }));
  assert.ok(labelsAtOrBelow(of(), of(1)));
  assert.ok(labelsAtOrBelow(of(1, 2), of(1, 3)));
  assert.ok(!labelsAtOrBelow(of(1, 2), of(2, 1)));
  assert.ok(!labelsAtOrBelow(of(1), of()));
});
