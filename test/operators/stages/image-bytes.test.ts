import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageOpener } from "../../../connectors/source/source.js";
import { imageBytes } from "../../../operators/stages/image-bytes.js";
import { SluiceError } from "../../../schemas/errors.js";
import { keys } from "../../../schemas/keys.js";
import { madeImage } from "../../fixtures/cuts.js";
import { failingStore } from "../../fixtures/failing-store.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const image = madeImage("one");
const URI = "file:///wild/one.png";
const holding = (bytes: Uint8Array): ImageOpener => ({ open: async () => bytes });
const failing = (error: Error): ImageOpener => ({
  open: async () => {
    throw error;
  },
});

test("takes the blob by content first", async () => {
  const store = openMemoryStore();
  await store.put(keys.image(image.sha256), image.bytes);
  const { bytesOf } = imageBytes({ store, opener: failing(new Error("never asked")) });
  assert.deepEqual(await bytesOf(image.sha256, URI, image.bytes.length), image.bytes);
});

test("opens the uri where the store has no blob, or a corrupt one", async () => {
  const store = openMemoryStore();
  const { bytesOf, absences } = imageBytes({ store, opener: holding(image.bytes) });
  assert.deepEqual(await bytesOf(image.sha256, URI, image.bytes.length), image.bytes);
  await store.put(keys.image(image.sha256), image.bytes.subarray(1));
  assert.deepEqual(await bytesOf(image.sha256, URI, image.bytes.length), image.bytes);
  assert.deepEqual(absences, []);
});

test("bytes of another digest are absent, with the reasons", async () => {
  const store = openMemoryStore();
  await store.put(keys.image(image.sha256), madeImage("two").bytes);
  const { bytesOf, absences } = imageBytes({ store, opener: holding(madeImage("three").bytes) });
  assert.equal(await bytesOf(image.sha256, URI, image.bytes.length), null);
  assert.equal(absences.length, 1);
  assert.equal(absences[0]!.uri, URI);
  assert.match(absences[0]!.reason, /has other bytes than its name says; its uri now has other bytes/);
});

test("a file that vanished is absent; without an opener, too", async () => {
  const store = openMemoryStore();
  const vanished = failing(new SluiceError("E_IMAGE_VANISHED", "No file there any more."));
  const opened = imageBytes({ store, opener: vanished });
  assert.equal(await opened.bytesOf(image.sha256, URI, 1), null);
  assert.match(opened.absences[0]!.reason, /no blob of it; No file there any more/);
  const closed = imageBytes({ store });
  assert.equal(await closed.bytesOf(image.sha256, URI, 1), null);
  assert.match(closed.absences[0]!.reason, /no source is given/);
});

test("a store or a source that is away is an error, not an absence", async () => {
  const away = imageBytes({ store: failingStore(openMemoryStore(), 0, "before"), opener: holding(image.bytes) });
  await assert.rejects(away.bytesOf(image.sha256, URI, 1), (error) => (error as SluiceError).code === "E_STORE_IO");
  const broken = imageBytes({ store: openMemoryStore(), opener: failing(new Error("network")) });
  await assert.rejects(broken.bytesOf(image.sha256, URI, 1), /network/);
  assert.deepEqual(broken.absences, []);
});

test("keeps the first thousand absences", async () => {
  const { bytesOf, absences } = imageBytes({ store: openMemoryStore() });
  for (let index = 0; index < 1100; index++) await bytesOf(image.sha256, `file:///${index}`, 1);
  assert.equal(absences.length, 1000);
  assert.equal(absences[999]!.uri, "file:///999");
});
