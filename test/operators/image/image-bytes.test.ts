import assert from "node:assert/strict";
import { test } from "node:test";
import { openEach } from "../../../connectors/source/open-many.js";
import type { ImageOpener } from "../../../connectors/source/source.js";
import { imageBytes, type ImageBytes } from "../../../operators/image/image-bytes.js";
import { SluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { madeImage } from "../../fixtures/cuts.js";
import { failingStore } from "../../fixtures/failing-store.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { collect } from "../../fixtures/publishing.js";

const image = madeImage("one");
const URI = "file:///wild/one.png";
const opening = (open: ImageOpener["open"]): ImageOpener => ({ open, openMany: (asked) => openEach(asked, { open }) });
const holding = (bytes: Uint8Array): ImageOpener => opening(async () => bytes);
const failing = (error: Error): ImageOpener =>
  opening(async () => {
    throw error;
  });

/** Reads the one image. */
async function bytesOf({ read }: ImageBytes, { uri = URI, isKept = false } = {}): Promise<Uint8Array | null> {
  const found = await collect(read([{ digest: image.sha256, uri, sizeBytes: image.bytes.length, isKept }]));
  assert.deepEqual(
    found.map(({ at }) => at),
    [0],
  );
  return found[0]!.bytes;
}

test("takes the blob of a kept image first, and of another one where its place does not give it", async () => {
  const store = openMemoryStore();
  await store.put(keys.image(image.sha256), image.bytes);
  const images = imageBytes({ store, opener: failing(new Error("never asked")) });
  assert.deepEqual(await bytesOf(images, { isKept: true }), image.bytes);
  const gone = failing(new SluiceError("E_IMAGE_VANISHED", "No file there any more."));
  assert.deepEqual(await bytesOf(imageBytes({ store, opener: gone })), image.bytes);
});

test("opens the uri where the store has no blob, or a corrupt one", async () => {
  const store = openMemoryStore();
  const images = imageBytes({ store, opener: holding(image.bytes) });
  assert.deepEqual(await bytesOf(images, { isKept: true }), image.bytes);
  await store.put(keys.image(image.sha256), image.bytes.subarray(1));
  assert.deepEqual(await bytesOf(images, { isKept: true }), image.bytes);
  assert.deepEqual(images.absences, []);
});

test("bytes of another digest are absent, with the reasons", async () => {
  const store = openMemoryStore();
  await store.put(keys.image(image.sha256), madeImage("two").bytes);
  const images = imageBytes({ store, opener: holding(madeImage("three", image.bytes.length).bytes) });
  assert.equal(await bytesOf(images), null);
  const { absences } = images;
  assert.equal(absences.length, 1);
  assert.equal(absences[0]!.uri, URI);
  assert.match(absences[0]!.reason, /has other bytes than its name says; its uri now has other bytes/);
});

test("a file that vanished is absent; without an opener, too", async () => {
  const store = openMemoryStore();
  const vanished = failing(new SluiceError("E_IMAGE_VANISHED", "No file there any more."));
  const opened = imageBytes({ store, opener: vanished });
  assert.equal(await bytesOf(opened), null);
  assert.match(opened.absences[0]!.reason, /no blob of it; No file there any more/);
  const closed = imageBytes({ store });
  assert.equal(await bytesOf(closed), null);
  assert.match(closed.absences[0]!.reason, /no source is given/);
});

test("a store or a source that is away is an error, not an absence", async () => {
  const away = imageBytes({ store: failingStore(openMemoryStore(), 0, "before"), opener: holding(image.bytes) });
  await assert.rejects(bytesOf(away, { isKept: true }), (error) => (error as SluiceError).code === "E_STORE_IO");
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
