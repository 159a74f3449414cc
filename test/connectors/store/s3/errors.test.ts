import assert from "node:assert/strict";
import { test } from "node:test";
import { S3Error } from "minio";
import { s3Failure, type StoreAction } from "../../../../connectors/store/s3/errors.js";
import { Stalled, TransientStatus } from "../../../../connectors/store/s3/transport.js";
import { SluiceError, type ErrorCode } from "../../../../schemas/errors.js";

const PLACE = "http://store:9000/bucket/";

function answered(code: string): S3Error {
  return Object.assign(new S3Error("the server's words"), { code });
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

const CASES: readonly [string, unknown, StoreAction, ErrorCode, boolean, RegExp][] = [
  ["an absent object", answered("NoSuchKey"), "read", "E_STORE_MISSING", false, /a\/key/],
  ["an absent bucket", answered("NoSuchBucket"), "write", "E_STORE_BUCKET", false, /Create it/],
  ["no permission to write", answered("AccessDenied"), "write", "E_STORE_READONLY", false, /permission/],
  ["no permission to read", answered("AccessDenied"), "read", "E_STORE_ACCESS", false, /policy/],
  ["an unknown key", answered("InvalidAccessKeyId"), "write", "E_STORE_ACCESS", false, /access key/],
  ["a wrong secret", answered("SignatureDoesNotMatch"), "open", "E_STORE_ACCESS", false, /secret key/],
  ["a wrong clock", answered("RequestTimeTooSkewed"), "open", "E_STORE_ACCESS", false, /set the clock/],
  ["another region", answered("AuthorizationHeaderMalformed"), "open", "E_STORE_ACCESS", false, /region/],
  ["a full disk", answered("XMinioStorageFull"), "write", "E_STORE_FULL", false, /free space/],
  ["a busy store", new TransientStatus(503, "SlowDown"), "write", "E_STORE_IO", true, /503 \(SlowDown\)/],
  ["a silent store", new Stalled(30_000), "read", "E_STORE_IO", true, /30 s/],
  ["bytes that changed on the way", answered("BadDigest"), "write", "E_STORE_IO", true, /BadDigest/],
  [
    "a conflict of conditional writers",
    answered("ConditionalRequestConflict"),
    "write",
    "E_STORE_IO",
    true,
    /write a\/key/,
  ],
  ["a refused connection", errno("ECONNREFUSED"), "read", "E_STORE_IO", true, /read a\/key in http:\/\/store:9000/],
  ["a broken connection", errno("ECONNRESET"), "read", "E_STORE_IO", true, /ECONNRESET/],
  [
    "all addresses refused",
    new AggregateError([errno("ECONNREFUSED")], ""),
    "read",
    "E_STORE_IO",
    false,
    /ECONNREFUSED/,
  ],
  ["TLS where there is none", errno("EPROTO"), "open", "E_STORE_IO", false, /EPROTO/],
  ["a bug", new TypeError("no function"), "read", "E_STORE_IO", false, /no function/],
];

for (const [what, error, action, code, retryable, message] of CASES) {
  test(`${what}, on ${action}: ${code}`, () => {
    const failure = s3Failure(error, action, "a/key", PLACE);
    assert.equal(failure.code, code);
    assert.equal(failure.retryable, retryable);
    assert.match(failure.message, message);
    assert.equal(failure.cause, error);
  });
}

test("an error of Sluice stays what it is", () => {
  const ours = new SluiceError("E_STORE_CORRUPT", "Not what was written.");
  assert.equal(s3Failure(ours, "read", "a/key", PLACE), ours);
});
