import assert from "node:assert/strict";
import { test } from "node:test";
import { isSluiceError } from "../../../schemas/errors.js";
import { decodeBucketNotices } from "../../../schemas/wire/bucket-notices.js";

const PLACE = { topic: "told", partition: 0 };
const decode = (text: string | null) =>
  decodeBucketNotices(
    { key: null, value: text === null ? null : Buffer.from(text), headers: {}, timestampMs: 0, offset: 7 },
    PLACE,
  );
const TIME = "2026-11-30T08:15:30.250Z";
const record = (eventName: string, key: string, bucket = "crawl") => ({
  eventVersion: "2.1",
  eventSource: "aws:s3",
  awsRegion: "eu-central-1",
  eventTime: TIME,
  eventName,
  s3: { s3SchemaVersion: "1.0", bucket: { name: bucket, arn: `arn:aws:s3:::${bucket}` }, object: { key, size: 9 } },
});
const timeMs = Date.parse(TIME);

test("Amazon S3's and MinIO's notices are read with their keys decoded, several of a record in their order", () => {
  const told = {
    EventName: "s3:ObjectCreated:Put",
    Key: "crawl/2026/a b.jpg",
    Records: [
      record("s3:ObjectCreated:Put", "2026%2Fa+b%2Bc%C3%A9.jpg"),
      record("ObjectCreated:CompleteMultipartUpload", "2026/%E2%98%83.png"),
      record("ObjectRemoved:DeleteMarkerCreated", "gone.jpg"),
      record("s3:LifecycleExpiration:Delete", "old.jpg"),
      record("s3:ObjectAccessed:Get", "seen.jpg"),
      record("ObjectTagging:Put", "tagged.jpg"),
    ],
  };
  assert.deepEqual(
    decode(JSON.stringify(told)).map(({ what, bucket, key, timeMs: at }) => [what, bucket, key, at]),
    [
      ["created", "crawl", "2026/a b+cé.jpg", timeMs],
      ["created", "crawl", "2026/☃.png", timeMs],
      ["removed", "crawl", "gone.jpg", timeMs],
      ["removed", "crawl", "old.jpg", timeMs],
      ["other", "crawl", "seen.jpg", timeMs],
      ["other", "crawl", "tagged.jpg", timeMs],
    ],
  );
});

test("the same by SNS and by EventBridge", () => {
  const inner = JSON.stringify({ Records: [record("ObjectCreated:Put", "a%20b.jpg")] });
  const [bySns] = decode(JSON.stringify({ Type: "Notification", TopicArn: "arn:…", Message: inner }));
  assert.equal(bySns!.key, "a b.jpg");
  const bridged = {
    "detail-type": "Object Created",
    source: "aws.s3",
    time: TIME,
    detail: { bucket: { name: "crawl" }, object: { key: "100%25 a+b.jpg", size: 4, etag: "x" }, reason: "PutObject" },
  };
  // EventBridge gives keys as they are.
  assert.deepEqual(decode(JSON.stringify(bridged)), [
    { what: "created", event: "Object Created", bucket: "crawl", key: "100%25 a+b.jpg", timeMs },
  ]);
});

test("messages that only try the way have no notices", () => {
  const first = { Service: "Amazon S3", Event: "s3:TestEvent", Time: TIME, Bucket: "crawl", RequestId: "x" };
  assert.deepEqual(decode(JSON.stringify(first)), []);
  assert.deepEqual(decode(JSON.stringify({ Type: "SubscriptionConfirmation", Message: "confirm" })), []);
});

test("what is no notice is refused in one line that says where and why", () => {
  const wrong: [string | null, RegExp][] = [
    [null, /no value/],
    ["not JSON", /JSON/],
    ["null", /expected object/],
    [JSON.stringify({ Records: "many" }), /Records/],
    [JSON.stringify({ Records: [{ ...record("ObjectCreated:Put", "a"), eventTime: "soon" }] }), /expected a time/],
    [JSON.stringify({ Records: [record("ObjectCreated:Put", "%E2%98")] }), /URI malformed/],
    [JSON.stringify({ Records: [record("ObjectCreated:Put", "")] }), /key/],
    [JSON.stringify({ Type: "Notification", Message: "{" }), /JSON/],
  ];
  for (const [text, fault] of wrong) {
    assert.throws(
      () => decode(text),
      (error) => {
        assert.ok(isSluiceError(error, "E_RECORD_SCHEMA"));
        assert.match(error.message, /at told\/0\/7/);
        assert.match(error.message, fault, text ?? "null");
        return !error.message.includes("\n");
      },
    );
  }
});
