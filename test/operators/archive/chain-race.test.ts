import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListOptions } from "../../../connectors/store/store.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { testSegment } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const chain = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const segment = (start: number) => testSegment(chain, start, [{ image: start, logits: [1, 0] }], 2);

test("segments that a scorer writes between looking and listing are no gap", async () => {
  const store = openMemoryStore();
  await writeSegment(store, chain, segment(0));
  let written = false;
  const growing = {
    ...store,
    async *list(prefix: string, options?: ListOptions) {
      if (!written) {
        written = true;
        await writeSegment(store, chain, segment(1));
        await writeSegment(store, chain, segment(2));
      }
      yield* store.list(prefix, options);
    },
  };
  assert.equal(await new ChainReader(growing, chain).end(0), 3);
});
