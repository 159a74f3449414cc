import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRST, heldOf, isMeant, placeOf } from "../../../web/app/parts/focused.js";

/** Places of the images of a list, as a page finds them */
const among =
  (...list: readonly string[]) =>
  (sha256: string): number | null => {
    const at = list.indexOf(sha256);
    return at < 0 ? null : at;
  };

test("an image that is looked at is followed to where it stands now", () => {
  const focused = heldOf(FIRST, 0, "a");
  assert.deepEqual(focused, { place: 0, sha256: "a", isJudged: false });
  const place = placeOf(focused, among("new", "newer", "a", "b"));
  assert.equal(place, 2);
  assert.deepEqual(heldOf(focused, place, "a"), { place: 2, sha256: "a", isJudged: false });
});

test("a key is not meant for what took the place of an image that left", () => {
  const focused = heldOf(FIRST, 0, "a");
  assert.equal(placeOf(focused, among("b", "c")), 0);
  assert.equal(isMeant(focused, "a"), true);
  assert.equal(isMeant(focused, "b"), false);
  assert.deepEqual(heldOf(focused, 0, "b"), focused, "what came is not taken for it by itself");
});

test("after a verdict the next one is looked at where it moves up, also where the verdict puts the judged one first", () => {
  const judged = { place: 2, sha256: "c", isJudged: true };
  assert.equal(placeOf(judged, among("c", "a", "b", "d")), 2);
  assert.deepEqual(heldOf(judged, 2, "c"), judged, "until the list is answered anew");
  assert.equal(isMeant(judged, "d"), true);
  assert.deepEqual(heldOf(judged, 2, "d"), { place: 2, sha256: "d", isJudged: false });
});

test("what has not come yet is nothing to hold", () => {
  assert.deepEqual(heldOf(FIRST, 0, null), FIRST);
  assert.equal(isMeant(FIRST, "a"), true);
});
