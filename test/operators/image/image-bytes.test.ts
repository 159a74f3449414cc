import assert from "node:assert/strict";
import { test } from "node:test";
import { openEach } from "../../../connectors/source/open-many.js";
import type { ImageOpener } from "../../../connectors/source/source.js";
import { imageBytes, type ImageBytes } from "../../../operators/image/image-bytes.js";
import { openLiveChains } from "../../../operators/archive/chain.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { rowGroup } from "../../../operators/version/publish-plan.js";
import { SluiceError } from "../../../schemas/errors.js";
import { writePack } from "../../../operators/pack/pack-objects.js";
import { keys } from "../../../schemas/keys.js";
import { packText } from "../../../schemas/pack.js";
import { testSegment } from "../../fixtures/archive.js";
import { chosenRows, madeImage } from "../../fixtures/cuts.js";
import { failingStore } from "../../fixtures/failing-store.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { collect } from "../../fixtures/publishing.js";

const image = madeImage("one");
const URI = "file:///wild/one.png";
const chain = { teacher: "ab".repeat(32), stream: "images", partition: 0, origin: 0 };
const PACK = packText({ chain, start: 0, attempt: "a" });
const OBJECT = keys.scoredPack(chain, 0, "a");

/** A store with the image in a pack, `change`d afterwards. */
async function withPack(change: (pack: Uint8Array) => Uint8Array = (pack) => pack): Promise<MemoryStore> {
  const store = openMemoryStore();
  const others = [madeImage("another"), image, madeImage("a third")];
  const members = others.map(({ bytes, digest }) => ({ bytes, digest, sizeBytes: bytes.length }));
  await writePack(store, OBJECT, members);
  await store.put(OBJECT, change(await store.get(OBJECT)));
  return store;
}

/** With one byte in the middle of the image flipped. */
function flipped(pack: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(pack);
  changed[Buffer.from(pack).indexOf(Buffer.from(image.bytes)) + 20]! ^= 1;
  return changed;
}
const opening = (open: ImageOpener["open"]): ImageOpener => ({ open, openMany: (asked) => openEach(asked, { open }) });
const holding = (bytes: Uint8Array): ImageOpener => opening(async () => bytes);
const failing = (error: Error): ImageOpener =>
  opening(async () => {
    throw error;
  });

/** Reads the one image. */
async function bytesOf(
  { read }: ImageBytes,
  { uri = URI, pack = null as string | null } = {},
): Promise<Uint8Array | null> {
  const found = await collect(read([{ digest: image.sha256, uri, sizeBytes: image.bytes.length, pack }]));
  assert.deepEqual(
    found.map(({ at }) => at),
    [0],
  );
  return found[0]!.bytes;
}

test("takes a kept image from its pack first", async () => {
  const images = imageBytes({ store: await withPack(), opener: failing(new Error("never asked")) });
  assert.deepEqual(await bytesOf(images, { pack: PACK }), image.bytes);
});

test("takes it from the pack of another record where its place does not give it", async () => {
  const store = await withPack();
  const { header, batch } = testSegment(chain, 0, [{ image: 1, logits: [1, 0] }], 2);
  const row = { ...batch, digest: image.digest, pack: { get: () => "0-a" } };
  await writeSegment(store, chain, { header: { ...header, pack: "a" }, batch: row });
  await openLiveChains(store, chain, [0]);
  const gone = failing(new SluiceError("E_IMAGE_VANISHED", "No file there any more."));
  const images = imageBytes({ store, opener: gone, archive: chain });
  images.expect(rowGroup([chosenRows(0, [{ image, key: -1 }])]));
  assert.deepEqual(await bytesOf(images), image.bytes);
});

test("opens the uri where the pack is not there, or its bytes are others", async () => {
  const opener = holding(image.bytes);
  for (const store of [openMemoryStore(), await withPack(flipped), await withPack((pack) => pack.subarray(0, 30))]) {
    const images = imageBytes({ store, opener });
    assert.deepEqual(await bytesOf(images, { pack: PACK }), image.bytes);
    assert.deepEqual(images.absences, []);
  }
});

test("bytes of another digest are absent, with the reasons", async () => {
  const store = await withPack(flipped);
  const images = imageBytes({ store, opener: holding(madeImage("three", image.bytes.length).bytes) });
  assert.equal(await bytesOf(images, { pack: PACK }), null);
  const { absences } = images;
  assert.equal(absences.length, 1);
  assert.equal(absences[0]!.uri, URI);
  assert.match(absences[0]!.reason, /others than its digest says; its uri now has other bytes/);
});

test("a file that vanished is absent; without an opener, too", async () => {
  const store = openMemoryStore();
  const vanished = failing(new SluiceError("E_IMAGE_VANISHED", "No file there any more."));
  const opened = imageBytes({ store, opener: vanished });
  assert.equal(await bytesOf(opened), null);
  assert.match(opened.absences[0]!.reason, /no pack kept it; No file there any more/);
  const closed = imageBytes({ store });
  assert.equal(await bytesOf(closed), null);
  assert.match(closed.absences[0]!.reason, /no source is given/);
});

test("a store or a source that is away is an error, not an absence", async () => {
  const away = imageBytes({ store: failingStore(openMemoryStore(), 0, "before"), opener: holding(image.bytes) });
  await assert.rejects(bytesOf(away, { pack: PACK }), (error) => (error as SluiceError).code === "E_STORE_IO");
  const broken = imageBytes({ store: openMemoryStore(), opener: failing(new Error("network")) });
  await assert.rejects(bytesOf(broken), /network/);
  assert.deepEqual(broken.absences, []);
});

test("keeps the first thousand absences", async () => {
  const images = imageBytes({ store: openMemoryStore() });
  const { absences } = images;
  for (let index = 0; index < 1100; index++) await bytesOf(images, { uri: `file:///${index}` });
  assert.equal(absences.length, 1000);
  assert.equal(absences[999]!.uri, "file:///999");
});
