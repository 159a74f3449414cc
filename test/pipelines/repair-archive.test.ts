import assert from "node:assert/strict";
import { test } from "node:test";
import { readSegment } from "../../operators/archive/segment-objects.js";
import { repairArchive } from "../../pipelines/repair-archive.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { Segment } from "../../schemas/segment.js";
import { archivedStream } from "../fixtures/archived-stream.js";

test("a repair that ends between two segments leaves no state of scores that have changed", async () => {
  const { store, teacher, stream, chains } = await archivedStream({ records: [60] });
  const chain = chains[0]!;
  const whole = new Map<number, Segment>();
  for (const start of [10, 30]) {
    whole.set(start, await readSegment(store, chain, start));
    const bytes = store.objects.get(keys.segment(chain, start))!;
    bytes[bytes.length >> 1]! ^= 16;
  }
  const checkpoint = `${keys.allCheckpoints}of-the-old-scores`;
  await store.put(checkpoint, Uint8Array.of(1));
  const repaired = repairArchive({
    store,
    stream,
    teachers: [teacher],
    datasets: [],
    target: null,
    repair: {
      store,
      attempt: () => "a",
      nowMs: () => 0,
      scoredAgain: async (_chain, { end }) => {
        if (end === 30) throw new SluiceError("E_STORE_IO", "The store is away.", { retryable: true });
        const { header, batch } = whole.get(end)!;
        return { header, batch: { ...batch, keys: batch.keys.map((key) => key * (1 + Number.EPSILON)) } };
      },
    },
    nowMs: () => 0,
  });
  await assert.rejects(repaired, (error) => isSluiceError(error, "E_STORE_IO"));
  const { batch } = await readSegment(store, chain, 10);
  assert.notDeepEqual(batch.keys, whole.get(10)!.batch.keys, "the first one has other scores now");
  assert.equal(await store.head(checkpoint), null);
});
