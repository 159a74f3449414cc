import assert from "node:assert/strict";
import { test } from "node:test";
import { Dedupe } from "../../../operators/image/dedupe.js";
import type { Copied, Fetched } from "../../../operators/image/image-in-flight.js";
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
  const dedupe = new Dedupe({ find: () => null }).flow();
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

const failure = new SluiceError("E_ENGINE_RUN", "the engine failed");

test("when a flow fails, its images fail with it; those of others that wait for one say so, and may begin anew", async () => {
  const dedupe = new Dedupe({ find: () => null });
  const [failing, sound] = [dedupe.flow(), dedupe.flow()];
  failing.onImage(image);
  const own = failing.onImage(image) as Copied;
  const waiting = sound.onImage(image) as Copied;
  failing.fail(failure);
  await assert.rejects(own.scores, failure);
  await assert.rejects(waiting.scores, { code: "E_FLOW_FAILED", retryable: true, cause: failure });
  assert.throws(() => failing.onImage(image), failure);
  assert.equal(dedupe.flow().onImage(image), image, "nobody is at work on it any more");
});

test("a flow that fails leaves other flows their own images, and what it says of one afterwards counts no more", async () => {
  const dedupe = new Dedupe({ find: () => null });
  const [failing, sound] = [dedupe.flow(), dedupe.flow()];
  sound.onImage(image);
  const copied = failing.onImage(image) as Copied;
  failing.fail(failure);
  failing.forget(name);
  const second = dedupe.flow().onImage(image) as Copied;
  failing.settle(digest, { code: "E_IMAGE_SCORES", reason: "of a flow that failed" });
  sound.settle(digest, refused);
  assert.deepEqual([await copied.scores, await second.scores], [refused, refused]);
  sound.forget(name);
  // The second one's record is not archived yet.
  assert.equal(dedupe.flow().onImage(image).kind, "copied");
});

test("an index that fails before its image's turn does not end the process", async () => {
  const dedupe = new Dedupe({ find: () => Promise.reject(new SluiceError("E_STORE_IO", "away")) }).flow();
  const copied = dedupe.onImage(image) as Copied;
  // An unhandled rejection would fail this test within this turn.
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(copied.scores, { code: "E_STORE_IO" });
});
