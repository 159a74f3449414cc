import assert from "node:assert/strict";
import { test } from "node:test";
import { S3Bucket } from "../../../../connectors/store/s3/bucket.js";
import { isSluiceError } from "../../../../schemas/errors.js";

const open = (bucket: string): S3Bucket =>
  new S3Bucket({ endPoint: "localhost", port: 9, useSSL: false, accessKey: "a", secretKey: "b", bucket });

test("a name that no bucket can have is said to be one, before the store is asked", () => {
  for (const name of ["b", "ab", "-abc", "abc-", "a/b/c", "a b c", "x".repeat(64)])
    assert.throws(
      () => open(name),
      (error) => isSluiceError(error, "E_STORE_BUCKET") && error.message.includes(JSON.stringify(name)),
    );
  for (const name of ["abc", "my.pictures-1", "Old_Pictures", "x".repeat(63)]) open(name).close();
});
