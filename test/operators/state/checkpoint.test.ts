import assert from "node:assert/strict";
import { test } from "node:test";
import { DatasetState } from "../../../operators/topk/dataset-state.js";
import { pruneCheckpoints, restoreLive, writeCheckpoint } from "../../../operators/state/checkpoint.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { testCard, testSegment } from "../../fixtures/archive.js";
import { failingStore } from "../../fixtures/failing-store.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const card = testCard(3);
const teacher = teacherDigest(card);
const chain = { teacher, stream: "images", partition: 0, origin: 0 };
const dataset = datasetSchema.parse({ name: "d", select: { k: 5, p: 1 } });
const segment = (image: number) => testSegment(chain, image, [{ image, logits: [image, 0, 0] }], 2);

const options = { dataset, teacher, stream: "images", card };

/** A state with a durable checkpoint, and a segment more. */
async function grownState() {
  const store = openMemoryStore();
  const state = new DatasetState(options);
  state.apply(segment(0));
  const durable = await writeCheckpoint(store, state, new Map(), new Map());
  state.apply(segment(1));
  return { store, state, durable };
}

test("an old owner that prunes while another's checkpoint is written leaves its parts", async () => {
  const { store, state, durable } = await grownState();
  const meanwhile = {
    ...store,
    putIfAbsent: async (key: string, bytes: Uint8Array) => {
      await pruneCheckpoints(store, state, 1);
      return store.putIfAbsent(key, bytes);
    },
  };
  await writeCheckpoint(meanwhile, state, durable, new Map());
  const { frontier } = state.coverage;
  const { state: restored } = await restoreLive(store, options, frontier, () => true);
  assert.deepEqual(restored.coverage.frontier, frontier);
  await pruneCheckpoints(store, state, 1);
  const parts = [...store.objects.keys()].filter((key) => key.endsWith(".topk"));
  assert.equal(parts.length, 1, "what is under the newest goes");
});

test("a checkpoint that failed and is tried again, later, has all that came", async () => {
  for (const failAt of [0, 1]) {
    const { store, state, durable } = await grownState();
    await assert.rejects(writeCheckpoint(failingStore(store, failAt, "before"), state, durable, new Map()));
    await writeCheckpoint(store, state, durable, new Map());
    const frontier = state.coverage.frontier;
    const { state: restored } = await restoreLive(store, options, frontier, () => true);
    assert.deepEqual(restored.coverage.frontier, frontier);
    assert.deepEqual(restored.stateOf(0)!.counts(), state.stateOf(0)!.counts(), `failed at call ${failAt}`);
  }
});
