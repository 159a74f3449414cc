import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Store } from "../../../connectors/store/store.js";
import { openLiveChains } from "../../../operators/archive/chain.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { oldestPin, withPin } from "../../../operators/archive/pins.js";
import { collectPacks, type CollectedPacks } from "../../../operators/pack/collect-packs.js";
import { KeptAgain } from "../../../operators/pack/kept-again.js";
import { writePack } from "../../../operators/pack/pack-objects.js";
import { PackReader } from "../../../operators/pack/pack-reader.js";
import { compact } from "../../../pipelines/compact.js";
import { keys } from "../../../schemas/keys.js";
import { packOfRow } from "../../../schemas/pack.js";
import type { Segment } from "../../../schemas/segment.js";
import type { MadeImage } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { keepImages, madeImages, PACK_CHAIN } from "../../fixtures/packs.js";
import { collect } from "../../fixtures/publishing.js";

const HOUR_MS = 3_600_000;
const NOW_MS = 1_760_000_000_000;

interface Kept {
  readonly image: MadeImage;
  readonly pack: string;
}

function packsOf({ header, batch }: Segment): string[] {
  return Array.from({ length: batch.count }, (_, row) => packOfRow(batch.pack.get(row)!, header));
}

let attempts = 0;
const attempt = (): string => `x${attempts++}`;

/** Images in segments of the given lengths, compacted. */
async function compacted(
  store: MemoryStore,
  images: readonly MadeImage[],
  lengths: readonly number[],
): Promise<Kept[]> {
  await openLiveChains(store, PACK_CHAIN, [0]);
  const kept: Kept[] = [];
  for (let at = 0, index = 0; at < images.length; index++) {
    const part = images.slice(at, at + lengths[index % lengths.length]!);
    const packs = packsOf(await keepImages(part, at, { store }));
    part.forEach((image, row) => kept.push({ image, pack: packs[row]! }));
    at += part.length;
  }
  await compact({ ...PACK_CHAIN, store, segmentsPerRun: 3, nowMs: () => NOW_MS, attempt });
  return kept;
}

/** Collects as the command does: pins are looked at before what is needed is. */
async function collected(
  store: Store,
  needed: Iterable<Kept>,
  nowMs: number,
  { dryRun = false } = {},
): Promise<CollectedPacks> {
  const pinnedMs = await oldestPin(store, "all", nowMs);
  const set = new Set([...needed].map(({ image }) => image.sha256));
  return collectPacks({
    store,
    reader: new ChainReader(store, PACK_CHAIN),
    isNeeded: (digest) => set.has(Buffer.from(digest).toString("hex")),
    untilMs: Math.min(nowMs - HOUR_MS, pinnedMs ?? Number.POSITIVE_INFINITY),
    dryRun,
    attempt,
    nowMs: () => nowMs,
    onRefused: (error) => {
      throw error;
    },
  });
}

async function read(store: Store, kept: readonly Kept[]): Promise<(Uint8Array | null)[]> {
  const found = await collect(
    new PackReader(store).readMany(kept.map(({ image, pack }) => ({ digest: image.sha256, pack }))),
  );
  const bytes = new Array<Uint8Array | null>(kept.length).fill(null);
  for (const one of found) bytes[one.at] = one.bytes;
  return bytes;
}

async function assertReads(store: Store, kept: readonly Kept[]): Promise<void> {
  assert.deepEqual(
    await read(store, kept),
    kept.map(({ image }) => image.bytes),
  );
}

const packBytes = (store: MemoryStore): number =>
  [...store.objects].reduce((sum, [key, { length }]) => sum + (key.endsWith(".pack") ? length : 0), 0);

test("whatever is needed by whatever time is never lost, and what never is goes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }), { minLength: 1, maxLength: 4 }),
      async (lengths, rounds) => {
        const store = openMemoryStore();
        const kept = await compacted(store, madeImages(24, "image"), lengths);
        // What was needed once and is not any more may be gone; what always was must be there.
        let always = kept;
        let nowMs = NOW_MS;
        for (const wanted of rounds) {
          const needed = kept.filter((_, at) => wanted[at]!);
          always = always.filter((one) => needed.includes(one));
          await collected(store, needed, (nowMs += 2 * HOUR_MS));
          await assertReads(store, always);
        }
        for (let again = 0; again < 3; again++) await collected(store, always, (nowMs += 2 * HOUR_MS));
        await assertReads(store, always);
        const bytes = always.length * 200;
        assert.ok(packBytes(store) <= 2 * bytes + 24 * 200, `${packBytes(store)} bytes for ${bytes}`);
        if (always.length === 0) assert.equal(packBytes(store), 0);
      },
    ),
    { numRuns: 25 },
  );
});

test("a dry run says what goes and changes nothing", async () => {
  const store = openMemoryStore();
  const kept = await compacted(store, madeImages(9, "image"), [1]);
  const before = [...store.objects.keys()];
  const said = await collected(store, kept.slice(0, 1), NOW_MS + HOUR_MS / 2, { dryRun: true });
  assert.deepEqual([...store.objects.keys()], before);
  assert.equal(said.images, 8);
  assert.equal(said.imageBytes, 8 * 200);
  const done = await collected(store, kept.slice(0, 1), NOW_MS + HOUR_MS / 2);
  assert.deepEqual(done, said);
});

test("what is dropped can be read for an hour, and longer by a reader that has a pin", async () => {
  const store = openMemoryStore();
  const kept = await compacted(store, madeImages(9, "image"), [3]);
  const late = NOW_MS + 2 * HOUR_MS;
  await withPin(store, PACK_CHAIN, { name: "reader", nowMs: () => late - 1 }, async () => {
    assert.equal((await collected(store, [], late)).images, 9);
    await collected(store, [], late + HOUR_MS / 2);
    await assertReads(store, kept);
    await collected(store, [], late + 3 * HOUR_MS);
    await assertReads(store, kept);
  });
  await collected(store, [], late + 3 * HOUR_MS);
  assert.deepEqual(
    await read(store, kept),
    kept.map(() => null),
  );
  assert.equal(packBytes(store), 0);
});

test("an image that is named again while it is dropped comes back", async () => {
  const store = openMemoryStore();
  const kept = await compacted(store, madeImages(9, "image"), [3]);
  const [one] = kept as [Kept];
  let nowMs = NOW_MS + 2 * HOUR_MS;
  const keptAgain = new KeptAgain({
    store,
    archive: PACK_CHAIN,
    packOf: () => one.pack,
    name: "scorer",
    nowMs: () => nowMs,
  });
  // The scorer looks, the collector drops, the scorer writes its row.
  const found = await keptAgain.find([one.image.digest]);
  assert.equal(found.get(one.image.sha256), one.pack);
  assert.equal((await collected(store, [], nowMs + 1)).images, 9);
  nowMs += HOUR_MS / 4;
  await keptAgain.close();
  const back = await collected(store, [one], nowMs + 4 * HOUR_MS);
  assert.equal(back.restored, 1);
  await collected(store, [one], nowMs + 8 * HOUR_MS);
  await assertReads(store, [one]);
  assert.deepEqual(await read(store, kept.slice(1)), new Array(8).fill(null));
  // A scorer that looks now stores what was dropped anew.
  const other = new KeptAgain({
    store,
    archive: PACK_CHAIN,
    packOf: () => kept[4]!.pack,
    name: "other",
    nowMs: () => nowMs,
  });
  assert.equal((await other.find([kept[4]!.image.digest])).size, 0);
});

test("a pack whose segment never came to be goes once the chain has passed its start, and not before", async () => {
  const store = openMemoryStore();
  const kept = await compacted(store, madeImages(6, "image"), [2]);
  const [stray] = madeImages(1, "stray") as [MadeImage];
  const tail = packsOf(await keepImages([stray], 6, { store }));
  const member = { ...stray, sizeBytes: stray.bytes.length };
  const passed = keys.scoredPack(PACK_CHAIN, 6, "zz");
  const ahead = keys.scoredPack(PACK_CHAIN, 7, "zz");
  for (const key of [passed, ahead]) await writePack(store, key, [member]);
  const done = await collected(store, [...kept, { image: stray, pack: tail[0]! }], NOW_MS + 1);
  assert.deepEqual([done.orphans, store.objects.has(passed), store.objects.has(ahead)], [1, false, true]);
  await assertReads(store, [...kept, { image: stray, pack: tail[0]! }]);
});
