import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceArgument } from "../../cli/source-argument.js";
import { isSluiceError } from "../../schemas/errors.js";

test("paths are made absolute, file: URLs are paths, s3:// stays", () => {
  assert.equal(sourceArgument("/here", "pictures/a b"), "/here/pictures/a b");
  assert.equal(sourceArgument("/here", "a:b//c"), "/here/a:b/c");
  assert.equal(sourceArgument("/here", "file:///pictures/a%20b"), "/pictures/a b");
  assert.equal(sourceArgument("/here", "s3://bucket/prefix/"), "s3://bucket/prefix/");
});

test("other schemes are refused with what is known", () => {
  for (const [input, said] of [
    [
      "gs://bucket/x/",
      /Expected a folder, tar shards or s3:\/\/bucket\/prefix\/, found gs:\/\/bucket\/x\/: gs:\/\/ is not read.*S3-compatible endpoint/,
    ],
    ["az://container/x", /az:\/\/ is not read\. Mount it/],
    ["https://host/a.tar", /https:\/\/ is not read\. Fetch the files/],
    ["file://host/share", /Expected a path in file:\/\/host\/share/],
  ] as const) {
    assert.throws(
      () => sourceArgument("/here", input),
      (error) => isSluiceError(error, "E_USAGE") && said.test(error.message),
    );
  }
});
