import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { bytePath } from "../../../connectors/source/byte-path.js";
import { memberUri } from "../../../connectors/source/tar/member-uri.js";
import { publishingParts } from "../../../pipelines/open/open-scoring.js";
import { guardOf, withOwnSource } from "../../../pipelines/open/source-places.js";
import { configSchema, type Config } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";

const HERE = import.meta.filename;
const kafka = { brokers: "127.0.0.1:9" };

async function opens(config: Config, path: string): Promise<boolean> {
  return guardOf(config)
    .file("file", bytePath(path), `file://${path}`)
    .then(
      () => true,
      (error: unknown) => {
        assert.ok(isSluiceError(error, "E_IMAGE_REFUSED"), String(error));
        return false;
      },
    );
}

test("on Kafka nothing is opened unless it is allowed or a source of the stream; in the data folder's log everything", async () => {
  const own = { places: [import.meta.dirname], include: [], followLinks: false };
  const onKafka = configSchema.parse({ kafka });
  assert.equal(await opens(onKafka, HERE), false);
  assert.equal(await opens(withOwnSource(onKafka, own), HERE), true);
  assert.equal(await opens(withOwnSource(onKafka, own), "/etc/passwd"), false);
  const shards = { ...own, places: [join(import.meta.dirname, "{000..099}.tar")] };
  assert.equal(await opens(withOwnSource(onKafka, shards), HERE), true);
  assert.equal(await opens(withOwnSource(onKafka, shards), "/etc/passwd"), false);
  const allowed = { allow: { roots: [import.meta.dirname] } };
  assert.equal(await opens(configSchema.parse({ kafka, sources: allowed }), HERE), true);
  assert.equal(await opens(configSchema.parse({}), "/etc/passwd"), true);
  assert.equal(await opens(configSchema.parse({ sources: { allow: {} } }), HERE), false);
  const bucket = withOwnSource(onKafka, { ...own, places: ["s3://crawl/2026/"] });
  guardOf(bucket).object("crawl", "2026/a.jpg", "s3://crawl/2026/a.jpg");
  assert.throws(() => {
    guardOf(bucket).object("crawl", "a.jpg", "s3://crawl/a.jpg");
  }, /sources\.allow\.buckets/);
});

test("of an image that came inside its record, its place is told to be one that is opened, or none", () => {
  const s3 = { endpoint: "http://127.0.0.1:9", bucket: "store", accessKey: "a", secretKey: "b" };
  const reaches = (config: Config, uri: string): boolean => publishingParts(config).opener.reaches!(uri);
  const own = { places: [import.meta.dirname, "s3://crawl/2026/", "s3://all"], include: [], followLinks: false };
  const onKafka = configSchema.parse({ kafka, s3 });
  const again = withOwnSource(onKafka, own);
  const shard = bytePath(`${import.meta.dirname}/a b.tar`);
  for (const uri of [
    `file://${HERE}`,
    memberUri(shard, { offset: 512, name: bytePath("0.png") }),
    "s3://crawl/2026/a.jpg",
    "s3://all/a.jpg",
  ])
    assert.equal(reaches(again, uri), true, uri);
  for (const uri of [
    `file://${import.meta.dirname}-other/a.png`,
    `file://${import.meta.dirname}/../../a.png`,
    "file:///etc/passwd",
    "s3://crawl/2025/a.jpg",
    "s3://all2/a.jpg",
    "https://example.org/a.png",
    "file:///%ff",
  ])
    assert.equal(reaches(again, uri), false, uri);
  const shardsAlone = { ...again, sources: { allow: { schemes: ["tar" as const], roots: [], buckets: [] } } };
  assert.equal(reaches(shardsAlone, `file://${HERE}`), false);
  assert.equal(reaches(onKafka, `file://${HERE}`), false);
  assert.equal(reaches(configSchema.parse({}), "file:///anything"), true);
});
