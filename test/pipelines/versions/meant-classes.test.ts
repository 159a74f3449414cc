import assert from "node:assert/strict";
import { test } from "node:test";
import { MeantClasses } from "../../../pipelines/versions/meant-classes.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import type { Manifest } from "../../../schemas/manifest.js";

type Of = Pick<Manifest, "select" | "teacher">;
const LABELS = ["tench", "crane", "cat", "dog", "crane"];
const version = (labels?: Record<string, readonly string[]>): Of =>
  ({ select: labels === undefined ? {} : { labels }, teacher: { labels: LABELS } }) as unknown as Of;
const said = (verdict: ImageLabel["verdict"], name?: string, number?: number): ImageLabel =>
  ({ sha256: "a".repeat(64), timeMs: 0, by: null, verdict, class: name, number }) as ImageLabel;

test("a class is the one that people mean, whatever it was called when the version was made", () => {
  const meant = new MeantClasses(version(), {
    labels: ["tench", "crane", "felis", "dog", "crane"],
    formerLabels: [LABELS],
  });
  assert.equal(meant.isRight([said("is", "felis")], 2), true);
  assert.equal(meant.isRight([said("is", "cat")], 2), true);
  assert.equal(meant.isRight([said("is", "felis")], 3), false);
  assert.equal(meant.isRight([said("not", "felis")], 2), false);
  assert.equal(meant.takesOut(said("is", "felis"), 2), false);
  assert.deepEqual([...meant.namedBy(said("is", "felis") as never)], [2]);
});

test("of classes of one name the number tells, and a sample's list names them by it", () => {
  const meant = new MeantClasses(version(), undefined);
  assert.equal(meant.isRight([said("is", "crane", 4)], 4), true);
  assert.equal(meant.isRight([said("is", "crane", 4)], 1), false);
  assert.deepEqual(
    LABELS.map((_, index) => meant.nameOf(index)),
    ["tench", "#1", "cat", "dog", "#4"],
  );
});

test("a class that stands for several is meant by each of them, and denied by all, or by its own name", () => {
  const meant = new MeantClasses(version({ pets: ["cat", "dog"], fish: ["tench"] }), undefined);
  const [fish, pets] = [0, 1];
  assert.equal(meant.isRight([said("is", "cat")], pets), true);
  assert.equal(meant.isRight([said("is", "tench")], pets), false);
  assert.equal(meant.isRight([said("not", "cat")], pets), null);
  assert.equal(meant.isRight([said("not", "cat"), said("not", "dog")], pets), false);
  assert.equal(meant.isRight([said("not", "pets")], pets), false);
  assert.equal(meant.isRight([said("is", "pets")], pets), true);
  assert.equal(meant.isRight([said("is", "crane", 1)], pets), false);
  assert.deepEqual([meant.nameOf(fish), meant.nameOf(pets)], ["tench", "pets"]);
});

test("what was said is taken in its order; what tells nothing is not counted", () => {
  const meant = new MeantClasses(version(), undefined);
  for (const [labels, expected] of [
    [undefined, null],
    [[said("none")], false],
    [[said("none"), said("withdrawn")], null],
    [[said("is", "cat"), said("duplicate")], null],
    [[said("is", "cat"), said("erased")], null],
    [[said("is", "cat"), said("not", "cat")], false],
    [[said("not", "cat"), said("not", "dog")], false],
    [[said("not", "dog")], null],
    [[said("not", "cat"), said("is", "cat")], true],
    [[said("is", "zebra")], false],
  ] as const)
    assert.equal(meant.isRight(labels, 2), expected, JSON.stringify(labels));
});
