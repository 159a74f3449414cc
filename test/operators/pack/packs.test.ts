import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Store } from "../../../connectors/store/store.js";
import { openLiveChains } from "../../../operators/archive/chain.js";
import { KeptAgain } from "../../../operators/pack/kept-again.js";
import { readPackIndex, packMembers, writePack } from "../../../operators/pack/pack-objects.js";
import { PackReader } from "../../../operators/pack/pack-reader.js";
import { compact, type Compacted } from "../../../pipelines/compact.js";
import { withPin } from "../../../operators/archive/pins.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { packInRow, PackIndex, packNamed, packOfRow, packText } from "../../../schemas/pack.js";
import type { Segment } from "../../../schemas/segment.js";
import { madeImage, type MadeImage } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { keepImages, madeImages, PACK_CHAIN } from "../../fixtures/packs.js";
import { collect } from "../../fixtures/publishing.js";

const HOUR_MS = 3_600_000;
const NOW_MS = 1_760_000_000_000;

const under = (store: MemoryStore, prefix: string): string[] =>
  [...store.objects.keys()].filter((key) => key.startsWith(prefix)).sort();

/** The pack that each row of a segment names. */
function packsOf({ header, batch }: Segment): (string | null)[] {
  return Array.from({ length: batch.count }, (_, row) => {
    const pack = batch.pack.get(row);
    return pack === null ? null : packOfRow(pack, header);
  });
}

interface Kept {
  readonly image: MadeImage;
  readonly pack: string;
}

/** Archives images in segments of the given lengths, all of them kept. */
async function archived(store: MemoryStore, images: readonly MadeImage[], lengths: readonly number[]): Promise<Kept[]> {
  await openLiveChains(store, PACK_CHAIN, [0]);
  const kept: Kept[] = [];
  let at = 0;
  for (let index = 0; at < images.length; index++) {
    const part = images.slice(at, at + lengths[index % lengths.length]!);
    const packs = packsOf(await keepImages(part, at, { store }));
    part.forEach((image, row) => kept.push({ image, pack: packs[row]! }));
    at += part.length;
  }
  return kept;
}

async function assertReads(store: Store, kept: readonly Kept[], reader = new PackReader(store)): Promise<void> {
  const wanted = kept.map(({ image, pack }) => ({ digest: image.sha256, pack }));
  const found = await collect(reader.readMany(wanted));
  assert.deepEqual(
    found.map(({ at }) => at).sort((a, b) => a - b),
    [...kept.keys()],
  );
  for (const { at, bytes, reason } of found) assert.deepEqual(bytes, kept[at]!.image.bytes, reason ?? "");
}

let attempts = 0;
const compacted = (store: Store, nowMs = NOW_MS): Promise<Compacted> =>
  compact({ ...PACK_CHAIN, store, segmentsPerRun: 4, nowMs: () => nowMs, attempt: () => `c${attempts++}` });

test("the images that a segment keeps are one object, each once, and rows name it", async () => {
  const store = openMemoryStore();
  const [one, two] = [madeImage("one"), madeImage("two", 90)];
  const segment = await keepImages([one, two, one], 7, { store });
  const [key, ...more] = under(store, "packs/");
  assert.deepEqual(more, []);
  assert.equal(key, keys.scoredPack(PACK_CHAIN, 7, segment.header.pack!));
  const index = await readPackIndex(store, key);
  assert.equal(index.count, 2);
  assert.equal(index.packBytes, (await store.head(key))!.sizeBytes);
  const packs = packsOf(segment);
  assert.equal(new Set(packs).size, 1);
  await assertReads(
    store,
    [one, two, one].map((image, row) => ({ image, pack: packs[row]! })),
  );
});

test("a segment without kept images writes no pack", async () => {
  const store = openMemoryStore();
  const segment = await keepImages([madeImage("one")], 0, { store, retainBytes: "winners" });
  assert.equal(segment.header.pack, null);
  assert.deepEqual(packsOf(segment), [null]);
  assert.deepEqual(under(store, "packs/"), []);
});

test("a pack's name comes back from a row, of its own chain or of another", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(5), fc.nat(5), (start, origin, partition, other) => {
      const chain = { ...PACK_CHAIN, partition, origin };
      const text = packText({ chain, start, attempt: "a1" });
      const reader = { ...chain, partition: other };
      assert.equal(packOfRow(packInRow(text, reader), reader), text);
      assert.deepEqual(packNamed(text), { chain, start, attempt: "a1" });
      if (other === partition) assert.equal(packInRow(text, reader), `${start}-a1`);
    }),
  );
});

test("an index finds every member and no other, and a flipped bit in it is noticed", async () => {
  const store = openMemoryStore();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.nat(), async (count, place) => {
      const images = madeImages(count, "image", 50 + (place % 100));
      await writePack(
        store,
        "packs/x",
        images.map((image) => ({ ...image, sizeBytes: image.bytes.length })),
      );
      const index = await readPackIndex(store, "packs/x");
      for (const { digest } of images) assert.ok(index.digestOf(index.find(digest)).equals(digest));
      assert.equal(index.find(madeImage("none of them").digest), -1);
      const read = await collect(packMembers(store, "packs/x", index));
      assert.deepEqual(
        read.map(({ bytes }) => Buffer.from(bytes).toString("hex")),
        images.map(({ bytes }) => Buffer.from(bytes).toString("hex")),
      );
      const flipped = Uint8Array.from(await store.get("packs/x"));
      const bit = place % (8 * (24 + 44 * count));
      // Neither of the four bytes of the head that nothing looks at.
      if (bit >= 160 && bit < 192) return;
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(
        () => PackIndex.read(flipped, "packs/x"),
        (error) => isSluiceError(error, "E_PACK_CORRUPT"),
      );
    }),
    { numRuns: 60 },
  );
});

test("compaction merges a run's packs into one; every row reads as before, while it works and afterwards", async () => {
  const store = openMemoryStore();
  const kept = await archived(store, madeImages(30, "image"), [3, 1, 2]);
  const early = new PackReader(store);
  await assertReads(store, kept.slice(0, 1), early);
  const { packs } = await compacted(store);
  assert.ok(packs.merged >= 12, `${packs.merged} packs merged`);
  await assertReads(store, kept);
  assert.deepEqual((await compacted(store, NOW_MS + HOUR_MS / 2)).packs, { merged: 0, into: 0, swept: 0 });
  const late = await compacted(store, NOW_MS + 2 * HOUR_MS);
  assert.equal(late.packs.swept, packs.merged);
  await assertReads(store, kept);
  await assertReads(store, kept, early);
  // One object a run of four segments, and what says where.
  assert.ok(under(store, "packs/").length <= 2 * Math.ceil(15 / 4), under(store, "packs/").join("\n"));
});

test("a pin holds the objects that were merged", async () => {
  const store = openMemoryStore();
  const kept = await archived(store, madeImages(12, "image"), [3]);
  await withPin(
    store,
    { ...PACK_CHAIN, teacher: "cd".repeat(32) },
    { name: "p", nowMs: () => NOW_MS - 1 },
    async () => {
      await compacted(store);
      assert.equal((await compacted(store, NOW_MS + 2 * HOUR_MS)).packs.swept, 0);
    },
  );
  assert.equal((await compacted(store, NOW_MS + 2 * HOUR_MS)).packs.swept, 4);
  await assertReads(store, kept);
});

test("of two compactors at once one generation stands, and nothing of the other's is left", async () => {
  const store = openMemoryStore();
  const kept = await archived(store, madeImages(24, "image"), [2]);
  await Promise.all([compacted(store), compacted(store)]);
  await compacted(store, NOW_MS + 2 * HOUR_MS);
  await assertReads(store, kept);
  const named = new Set(
    under(store, "packs/")
      .filter((key) => key.endsWith(".json"))
      .flatMap(
        (key) => (JSON.parse(Buffer.from(store.objects.get(key)!).toString()) as { packs: { key: string }[] }).packs,
      )
      .map(({ key }) => key),
  );
  assert.deepEqual(
    under(store, "packs/").filter((key) => key.endsWith(".pack") && !named.has(key)),
    [],
  );
});

test("a damaged member stops the merge of its run's packs, and of no other", async () => {
  const store = openMemoryStore();
  const images = madeImages(16, "image");
  const kept = await archived(store, images, [2]);
  const key = under(store, keys.scoredPacks(PACK_CHAIN))[1]!;
  const bytes = store.objects.get(key)!;
  bytes[bytes.length - 1]! ^= 1;
  const { packs, refusedPacks } = await compacted(store);
  assert.equal(packs.merged, 4);
  assert.deepEqual(
    refusedPacks.map(({ code, context }) => [code, context["key"]]),
    [["E_PACK_CORRUPT", key]],
  );
  await assertReads(
    store,
    kept.filter(({ image }) => image !== images[3]),
  );
});

test("an image that a pack has is named again there and not stored twice, under a pin", async () => {
  const store = openMemoryStore();
  const [one, two, three] = madeImages(3, "image") as [MadeImage, MadeImage, MadeImage];
  const first = packsOf(await keepImages([one, two], 0, { store }));
  const known = new Map([
    [one.sha256, first[0]!],
    [two.sha256, first[1]!],
  ]);
  let nowMs = NOW_MS;
  const keptAgain = new KeptAgain({
    store,
    archive: PACK_CHAIN,
    packOf: (digest) => known.get(Buffer.from(digest).toString("hex")) ?? null,
    name: "score-0",
    nowMs: () => nowMs,
  });
  const other = { ...PACK_CHAIN, partition: 1 };
  const again = packsOf(await keepImages([two, three], 5, { store, chain: other, keptAgain }));
  assert.equal(again[0], first[1]);
  assert.notEqual(again[1], first[1]);
  assert.equal(under(store, "pins/").length, 1);
  const index = await readPackIndex(store, under(store, keys.scoredPacks(other))[0]!);
  assert.deepEqual([index.count, index.find(three.digest)], [1, 0]);
  const all = packsOf(await keepImages([one, two], 7, { store, chain: other, keptAgain }));
  assert.deepEqual(all, first);
  assert.equal(under(store, keys.scoredPacks(other)).length, 1, "no pack of nothing");
  const [pin] = under(store, "pins/");
  nowMs += HOUR_MS;
  await keepImages([one], 9, { store, chain: other, keptAgain });
  assert.equal(under(store, "pins/").length, 1);
  assert.notEqual(under(store, "pins/")[0], pin);
  await keptAgain.close();
  assert.deepEqual(under(store, "pins/"), []);
});
