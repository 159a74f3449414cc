import assert from "node:assert/strict";
import { test } from "node:test";
import { versionBefore } from "../../../web/app/parts/earlier.js";

test("a version is compared with the greatest before it that is there, not with one that was deleted", () => {
  assert.equal(versionBefore([1, 2, 4], 4), 2);
  assert.equal(versionBefore([7, 1, 9], 9), 7);
  assert.equal(versionBefore([4], 4), null);
  assert.equal(versionBefore([], 1), null);
});
