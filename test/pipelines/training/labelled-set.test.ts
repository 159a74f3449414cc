import assert from "node:assert/strict";
import { test } from "node:test";
import { labelledSet, onceEach, type LabelledImage } from "../../../pipelines/training/labelled-set.js";
import { isSluiceError } from "../../../schemas/errors.js";

const image = (sha256: string, label: number, uri: string): LabelledImage => ({
  sha256,
  label,
  uri,
  bytes: () => Promise.resolve(new Uint8Array()),
});

test("a test image counts once, however often it is there", () => {
  const images = [image("aa", 0, "a.png"), image("bb", 1, "b.png"), image("aa", 0, "copy of a.png")];
  const once = onceEach(labelledSet("test", ["dog", "cat"], images, []));
  assert.deepEqual(
    once.images.map(({ uri }) => uri),
    ["a.png", "b.png"],
  );
  assert.equal(once.digest, labelledSet("test", ["dog", "cat"], images.slice(0, 2), []).digest);
});

test("the same image as two classes is refused, with both", () => {
  const images = [image("aa", 0, "dog/a.png"), image("aa", 1, "cat/a.png")];
  assert.throws(
    () => onceEach(labelledSet("test", ["dog", "cat"], images, [])),
    (error) =>
      isSluiceError(error, "E_TRAIN_DATA") && /as dog \(dog\/a\.png\) and as cat \(cat\/a\.png\)/.test(error.message),
  );
});
