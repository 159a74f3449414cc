import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketPlace, isBucketPlace } from "../../../pipelines/open/bucket-place.js";
import { STORE_FOLDERS, keys } from "../../../schemas/keys.js";

test("a place in a bucket is a bucket and a prefix that ends in a slash, spelt as its keys are", () => {
  for (const [input, bucket, prefix] of [
    ["s3://crawl", "crawl", ""],
    ["s3://crawl/", "crawl", ""],
    ["s3://crawl/2026", "crawl", "2026/"],
    ["s3://crawl/2026/ä b+%20/", "crawl", "2026/ä b+%20/"],
    ["s3://my.crawl-2/a//b", "my.crawl-2", "a//b/"],
  ] as const) {
    assert.deepEqual(bucketPlace(input), { bucket, prefix }, input);
  }
});

test("what is no such place is refused, and what is a path is none", () => {
  for (const input of [
    "s3:",
    "s3:/crawl/x",
    "s3://",
    "s3://ab/x",
    "S3://crawl",
    "s3://Crawl/x",
    "s3://a..b/",
    "s3:x",
  ]) {
    assert.ok(isBucketPlace(input), input);
    assert.throws(() => bucketPlace(input), { code: "E_USAGE", message: /Expected s3:\/\/bucket\/prefix\// }, input);
  }
  for (const path of ["/data/s3://x", "pictures", "./s3://crawl", "s3"]) assert.ok(!isBucketPlace(path), path);
});

test("every key of the store lies in one of the folders that are known as the store's", () => {
  const chain = { teacher: "t", stream: "s", partition: 0, origin: 0 };
  const shard = { index: 0, count: 1 };
  const made = [
    keys.chain(chain),
    keys.segment(chain, 0),
    keys.chains(chain),
    keys.runs(chain),
    keys.runIndex(chain, 0, 1),
    keys.runFile(chain, { start: 0, level: 1, attempt: "a", file: 0 }),
    keys.pin(chain, "a"),
    keys.claims(chain, 0),
    keys.scoredPack(chain, 0, "a"),
    keys.writtenPack(chain, { start: 0, generation: 1, attempt: "a", file: 0 }),
    keys.packGeneration(chain, 0, 1),
    keys.checkpointShards("p"),
    keys.checkpoints("p", shard),
    keys.checkpointParts("p", shard),
    keys.labels("s"),
    keys.labelSegment("s", 0, 0),
    keys.versions("d"),
    keys.manifest("d", 1),
    keys.attempts("d"),
    keys.attempt("d", "a"),
    keys.teacher("t"),
  ];
  for (const key of made)
    assert.ok(
      STORE_FOLDERS.some((folder) => key.startsWith(folder)),
      key,
    );
});
