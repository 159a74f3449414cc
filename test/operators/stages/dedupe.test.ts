import assert from "node:assert/strict";
import { test } from "node:test";
import { Dedupe } from "../../../operators/stages/dedupe.js";
import type { Copied, Fetched } from "../../../operators/stages/image-in-flight.js";
import { SluiceError } from "../../../schemas/errors.js";
import { imageDigest } from "../../fixtures/archive.js";

const digest = imageDigest(1);
const name = Buffer.from(digest).toString("hex");
const image: Fetched = {
  kind: "fetched",
  bytes: new Uint8Array(1),
  origin: { offset: 0, eventTimeMs: 0, digest, uri: "a", sizeBytes: 1, licence: null, origin: null, retryOf: null },
};
const refused = { code: "E_IMAGE_CORRUPT", reason: "corrupt" } as const;

test("a refused image that keeps coming is settled each time, however its records overlap", async () => {
  const dedupe = new Dedupe({ find: () => null });
  assert.equal(dedupe.onImage(image), image);
  const second = dedupe.onImage(image) as Copied;
  dedupe.settle(digest, refused);
  dedupe.forget(name);
  // The first record is archived, the second is not yet: a third one must not wait for a first that nobody scores.
  const third = dedupe.onImage(image);
  dedupe.forget(name);
  const fourth = dedupe.onImage(image) as Copied;
  if (third.kind === "fetched") dedupe.settle(digest, refused);
  assert.deepEqual(await second.scores, refused);
  assert.deepEqual(await fourth.scores, refused);
});

test("when a flow fails, those who wait for its scores fail with it and are not refused", async () => {
  const dedupe = new Dedupe({ find: () => null });
  dedupe.onImage(image);
  const copied = dedupe.onImage(image) as Copied;
  const failure = new SluiceError("E_ENGINE_RUN", "the engine failed");
  dedupe.fail(failure);
  await assert.rejects(copied.scores, failure);
  const other = { ...image, origin: { ...image.origin, digest: imageDigest(2) } };
  dedupe.onImage(other);
  await assert.rejects((dedupe.onImage(other) as Copied).scores, failure);
});

test("an index that fails before its image's turn does not end the process", async () => {
  const dedupe = new Dedupe({ find: () => Promise.reject(new SluiceError("E_STORE_IO", "away")) });
  const copied = dedupe.onImage(image) as Copied;
  // An unhandled rejection would fail this test within this turn.
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(copied.scores, { code: "E_STORE_IO" });
});
