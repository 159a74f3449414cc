import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../../../connectors/store/store.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { LocalScoreIndex, type LocalTable } from "../../../pipelines/flow/score-index.js";
import type { ChainName } from "../../../schemas/keys.js";
import { imageDigest, testSegment } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const chain: ChainName = { teacher: "0".repeat(64), stream: "images", partition: 0, origin: 0 };
const segmentOf = (start: number) => testSegment(chain, start, [{ image: start, logits: tiedLogits(start, 5) }], 5);

function table(): LocalTable {
  const entries = new Map<string, Uint8Array>();
  const name = (key: Uint8Array): string => Buffer.from(key).toString("hex");
  return {
    get: (key) => entries.get(name(key)),
    putMany: (all) => {
      for (const [key, value] of all) entries.set(name(key), value);
      return Promise.resolve();
    },
  };
}

test("an image is found that was archived while the chain's tail was read for another one", async () => {
  const memory = openMemoryStore();
  const own = table();
  for (const start of [0, 1]) await writeSegment(memory, chain, segmentOf(start));
  await new LocalScoreIndex(memory, own, chain).catchUp(chain);
  // A process that begins with the table of the one before, and reads the tail when it is first asked
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let reach: () => void = () => undefined;
  const atTheEnd = new Promise<void>((resolve) => (reach = resolve));
  let holds = true;
  const store: Store = {
    ...memory,
    head: async (key) => {
      const found = await memory.head(key);
      if (holds && key.endsWith("00000002.arrow")) {
        reach();
        await held;
      }
      return found;
    },
  };
  const index = new LocalScoreIndex(store, own, chain);
  const first = index.find(imageDigest(1));
  await atTheEnd;
  holds = false;
  // The tail's end was read; now it goes on.
  assert.equal(await writeSegment(memory, chain, segmentOf(2)), "created");
  await index.take(segmentOf(2));
  release();
  assert.notEqual(await first, null);
  assert.notEqual(await index.find(imageDigest(2)), null);
  assert.equal(index.find(imageDigest(3)), null);
});
