import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../../../connectors/store/store.js";
import { liveChain } from "../../../operators/archive/chain.js";
import { saveCard } from "../../../operators/archive/teacher-registry.js";
import { HeldSelection } from "../../../pipelines/console/held-selection.js";
import { ClassWalls, type WallPage } from "../../../pipelines/console/wall/class-wall.js";
import { rebuildPlace } from "../../../pipelines/versions/rebuild-place.js";
import { IndexGroups } from "../../../pipelines/versions/index-groups.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { archiveRecords, testCard } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { tiedLogits } from "../../fixtures/sorted-rows.js";

const CLASSES = 4;
const IMAGES = 60;
const stream = "images";
/** Eight images look the same. */
const pdqOf = (image: number) => ({ hash: new Uint8Array(32).fill(image / 8), quality: 100 });

test("walls of like images and of another teacher's opinions are worked out once for all their pages; opinions for a while", async () => {
  const memory = openMemoryStore();
  let reads = 0;
  const store: Store = {
    ...memory,
    get: (key) => (reads++, memory.get(key)),
    getRange: (key, start, end) => (reads++, memory.getRange(key, start, end)),
    getStream: (key) => (reads++, memory.getStream(key)),
    getInto: (key, room, range) => (reads++, memory.getInto!(key, room, range)),
  };
  const [card, other] = [testCard(CLASSES), testCard(CLASSES, "another")];
  for (const [one, turned] of [
    [card, 0],
    [other, 7],
  ] as const) {
    await saveCard(store, one);
    const chain = await liveChain(store, { teacher: teacherDigest(one), stream, partition: 0 }, 0);
    const records = Array.from({ length: IMAGES }, (_, image) => ({
      image,
      logits: tiedLogits(image + turned, CLASSES),
    }));
    await archiveRecords(store, chain, records, [7], CLASSES, { pdqOf });
  }
  const dataset = datasetSchema.parse({ name: "d", select: { k: 5, p: 2 }, reserve: 100 });
  const place = await rebuildPlace(store, { teacher: teacherDigest(card), stream }, dataset, {}, {});
  const options = { store, dataset, card: (await saveCard(store, card)).card, stream, span: place.span };
  const held = await HeldSelection.open({ ...options, maxStateBytes: 2 ** 30 }, place.frontier, [], () => undefined);
  let atMs = 0;
  const walls = new ClassWalls(store, new IndexGroups(store), stream, () => atMs);
  /** Reads a page behind the last image, so that only what tells which are shown is read; says how many reads it took. */
  const page = async (show: "like" | "disagree", index = 1): Promise<WallPage & { readonly reads: number }> => {
    const before = reads;
    const found = await walls.ofArchive(held, index, null, { from: 10_000, limit: 10, k: 5, filter: { show } });
    return { ...found, reads: reads - before };
  };
  for (const show of ["like", "disagree"] as const) {
    const [first, second] = [await page(show), await page(show)];
    assert.ok(first.shown > 0, show);
    assert.deepEqual([second.shown, second.note], [first.shown, first.note]);
    assert.ok(second.reads < first.reads, `${show}: ${first.reads} reads, then ${second.reads}`);
    assert.ok((await page(show, 2)).reads > second.reads, "another class is worked out by itself");
  }
  const again = (await page("disagree")).reads;
  atMs += 60_000;
  assert.ok((await page("disagree")).reads > again, "opinions are asked for again");
});
