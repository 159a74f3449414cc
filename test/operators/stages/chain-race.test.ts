import assert from "node:assert/strict";
import { test } from "node:test";
import { followToEnd, writeSegment } from "../../../operators/stages/chain.js";
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
    async *list(prefix: string) {
      if (!written) {
        written = true;
        await writeSegment(store, chain, segment(1));
        await writeSegment(store, chain, segment(2));
      }
      yield* store.list(prefix);
    },
  };
  assert.equal(await followToEnd(growing, chain, 0, () => undefined), 3);
});
