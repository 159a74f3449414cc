import assert from "node:assert/strict";
import { test } from "node:test";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { eraseMembers, type ErasedMembers } from "../../../operators/pack/erase-members.js";
import { writePack } from "../../../operators/pack/pack-objects.js";
import { keys } from "../../../schemas/keys.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { keepImages, madeImages, PACK_CHAIN } from "../../fixtures/packs.js";

test("a pack whose segment cannot be read waits for it; one that no segment names goes", async () => {
  const store = openMemoryStore();
  const images = madeImages(9, "tail");
  const headers = [];
  for (let at = 0; at < 9; at += 3) headers.push((await keepImages(images.slice(at, at + 3), at, { store })).header);
  const digest = images[4]!.digest;
  const own = keys.scoredPack(PACK_CHAIN, 3, headers[1]!.pack!);
  const segment = keys.segment(PACK_CHAIN, 3);
  const bytes = await store.get(segment);
  // Of a scorer that died before its segment
  const orphan = keys.scoredPack(PACK_CHAIN, 6, "dead");
  await writePack(store, orphan, [{ digest, sizeBytes: images[4]!.bytes.length, bytes: images[4]!.bytes }]);
  const erased = (): Promise<ErasedMembers> =>
    eraseMembers({
      store,
      reader: new ChainReader(store, PACK_CHAIN),
      digests: [digest],
      isAlone: true,
      attempt: () => "e",
      nowMs: () => 0,
      dryRun: false,
    });
  await store.delete(segment);
  const { waiting, packs } = await erased();
  assert.deepEqual([waiting, packs], [[own], 1]);
  assert.notEqual(await store.head(own), null, "the other two images are in it");
  assert.equal(await store.head(orphan), null);
  await store.put(segment, bytes);
  assert.deepEqual((await erased()).waiting, [own], "until it is compacted");
});
