import assert from "node:assert/strict";
import { test } from "node:test";
import { isArchived } from "../../../pipelines/flow/held-images.js";
import { sha256Hex } from "../../../schemas/canonical.js";
import { ERASED_URI } from "../../../schemas/erased.js";
import { encodeImageRecord, type StoredRecord } from "../../../schemas/image-record.js";

const PLACE = { stream: "images", partition: 0 };
const AT_MS = 1_700_000_000_000;

function record(uri: string, bytes: Buffer | null = null): StoredRecord {
  const image = { uri, bytes, eventTimeMs: AT_MS, licence: null, origin: null, retryOf: null };
  return { ...encodeImageRecord(image), offset: 7 };
}

test("a record of the topic is the archived one, another, or nobody can tell", () => {
  const archived = { offset: 7, sha256: sha256Hex(Buffer.from("x")), uri: "s3://b/a.png", eventTimeMs: AT_MS };
  assert.equal(isArchived(archived, record("s3://b/a.png"), PLACE), true);
  assert.equal(isArchived(archived, record("s3://b/other.png"), PLACE), false);
  assert.equal(isArchived({ ...archived, eventTimeMs: AT_MS + 1 }, record("s3://b/a.png"), PLACE), false);
  assert.equal(isArchived(archived, record("s3://b/a.png", Buffer.from("x")), PLACE), true);
  assert.equal(isArchived(archived, record("s3://b/a.png", Buffer.from("y")), PLACE), false);
});

test("an erased image is no sign of another topic: the archive says no more where it lay", () => {
  const erased = { offset: 7, sha256: sha256Hex(Buffer.from("x")), uri: ERASED_URI, eventTimeMs: AT_MS };
  assert.equal(isArchived(erased, record("s3://b/a.png"), PLACE), null);
  assert.equal(isArchived(erased, record("s3://b/a.png", Buffer.from("x")), PLACE), true);
});
