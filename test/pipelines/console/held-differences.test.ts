import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../../../connectors/store/store.js";
import { publish } from "../../../operators/version/publish.js";
import { HeldDifferences } from "../../../pipelines/console/held-differences.js";
import { doubtful } from "../../../pipelines/console/review/review-queue.js";
import { diffVersions } from "../../../pipelines/versions/diff-versions.js";
import { IndexGroups } from "../../../pipelines/versions/index-groups.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { chosenRows, madeCut, madeImage } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { publishOptions } from "../../fixtures/publishing.js";

/** A class of each list of keys. */
async function published(store: MemoryStore, keys: readonly (readonly number[])[]): Promise<Manifest> {
  const classes = keys.map((of, index) =>
    chosenRows(
      index,
      of.map((key, row) => ({ image: madeImage(`${index}/${row}/${key}`), key })),
    ),
  );
  return (await publish(madeCut(classes, { k: 9 }), publishOptions(new Map(), { store, groupRows: 64 }))).manifest;
}

test("what differs between two versions is read once for all that ask, and anew for files that differ", async () => {
  const memory = openMemoryStore();
  const [before, after] = [await published(memory, [[-1, -2], [-1]]), await published(memory, [[-1, -3], [-2]])];
  let reads = 0;
  const store: Store = {
    ...memory,
    get: (key) => (reads++, memory.get(key)),
    getRange: (key, start, end) => (reads++, memory.getRange(key, start, end)),
    getStream: (key) => (reads++, memory.getStream(key)),
    getInto: (key, room, range) => (reads++, memory.getInto!(key, room, range)),
  };
  const held = new HeldDifferences(store);
  const [first] = await Promise.all([held.of(before, after), held.of(before, after)]);
  assert.deepEqual(first, await diffVersions(memory, before, after));
  const once = reads;
  assert.ok(once > 0);
  assert.equal(await held.of(before, after), first);
  assert.equal(reads, once);
  const erased = { ...after, files: after.files.map((file) => ({ ...file, sha256: "0".repeat(64) })) };
  assert.deepEqual(await held.reasons(before, after), await held.reasons(before, after));
  assert.notEqual(await held.of(before, erased), first);
  assert.ok(reads > once);
});

test("of more classes than a queue reads the most doubtful ones are in it, wherever they stand", async () => {
  const store = openMemoryStore();
  const classes = 210;
  const manifest = await published(
    store,
    Array.from({ length: classes }, (_, index) => [-0.1, -1 - index / classes]),
  );
  const { items } = await doubtful(new IndexGroups(store), manifest, new Map(), { from: 0, limit: 3 });
  assert.deepEqual(
    items.map((item) => [item.class, item.rank]),
    [
      [209, 2],
      [208, 2],
      [207, 2],
    ],
  );
});
