import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sameClasses } from "../../../operators/select/class-map.js";
import { identityOf, LabelledImages } from "../../../operators/select/retractions.js";
import type { ImageLabel } from "../../../schemas/image-label.js";

const sha256 = "ab".repeat(32);

/** By class, whether the image is taken out of it. */
function outOf(
  said: readonly (readonly ["is" | "not", string, number?])[],
  labels: readonly string[],
  formerLabels: readonly string[][] = [],
): boolean[] {
  const images = new LabelledImages();
  for (const [verdict, name, number] of said) {
    const label: ImageLabel = {
      sha256,
      verdict,
      class: name,
      ...(number === undefined ? {} : { number }),
      timeMs: 1,
      by: null,
    };
    images.take(label);
  }
  const retractions = images.retractions(sameClasses(labels), { labels, formerLabels });
  const out = labels.map((_, index) => retractions.has(index, identityOf(sha256), 0));
  assert.deepEqual([...retractions.counts], out.map(Number));
  return out;
}

test("what was said of a class holds when the class gets another name", () => {
  const former = [["class-0", "class-1", "class-2"]];
  const labels = ["cat", "dog", "emu"];
  assert.deepEqual(outOf([["not", "class-1"]], labels, former), [false, true, false]);
  assert.deepEqual(outOf([["is", "class-1"]], labels, former), [true, false, true]);
  // Said under both names.
  assert.deepEqual(
    outOf(
      [
        ["is", "class-1"],
        ["not", "dog"],
      ],
      labels,
      former,
    ),
    [false, true, false],
  );
  assert.deepEqual(
    outOf(
      [
        ["not", "dog"],
        ["is", "class-1"],
      ],
      labels,
      former,
    ),
    [true, false, true],
  );
});

test("names that were exchanged are meant as they stand", () => {
  assert.deepEqual(outOf([["not", "cat"]], ["dog", "cat"], [["cat", "dog"]]), [false, true]);
});

test("of classes that share a name, the number says which", () => {
  const labels = ["tench", "crane", "dog", "crane"];
  assert.deepEqual(outOf([["not", "crane", 3]], labels), [false, false, false, true]);
  assert.deepEqual(outOf([["is", "crane", 3]], labels), [true, true, true, false]);
  assert.deepEqual(
    outOf(
      [
        ["is", "crane"],
        ["not", "crane", 1],
      ],
      labels,
    ),
    [true, true, true, false],
  );
  // Another teacher has one crane, at another place.
  assert.deepEqual(outOf([["not", "crane", 3]], ["crane", "dog"]), [true, false]);
});

test("a label that says what stands already changes nothing, whatever was said before and after", () => {
  const label = fc.oneof(
    fc.record({ verdict: fc.constantFrom("is", "not"), class: fc.constantFrom("cat", "dog", "emu") }),
    fc.record({ verdict: fc.constantFrom("none", "withdrawn") }),
  ) as fc.Arbitrary<Pick<ImageLabel, "verdict">>;
  const labels = ["cat", "dog", "emu"];
  const outcome = (said: readonly ImageLabel[]): number[] => {
    const images = new LabelledImages();
    for (const one of said) images.take(one);
    return [...images.retractions(sameClasses(labels), { labels }).counts];
  };
  let met = 0;
  fc.assert(
    fc.property(fc.array(label, { maxLength: 5 }), label, fc.array(label, { maxLength: 3 }), (before, one, after) => {
      const full = (said: typeof before): ImageLabel[] =>
        said.map((part) => ({ ...part, sha256, timeMs: 1, by: null }) as ImageLabel);
      const images = new LabelledImages();
      for (const part of full(before)) images.take(part);
      if (!images.says(full([one])[0]!)) return;
      met++;
      assert.deepEqual(outcome(full([...before, one, ...after])), outcome(full([...before, ...after])));
    }),
    { numRuns: 1000, seed: 7 },
  );
  assert.ok(met > 100, `${met} stood already`);
});

test("an erased image is of no class, and nothing that is said of it changes that", () => {
  const said = { sha256, timeMs: 1, by: null };
  const images = new LabelledImages();
  images.take({ verdict: "is", class: "cat", ...said });
  assert.equal(images.isErased(sha256), false);
  images.take({ verdict: "erased", reason: "asked", ...said });
  for (const label of [
    { verdict: "withdrawn", ...said },
    { verdict: "is", class: "cat", ...said },
  ] as const) {
    assert.equal(images.says(label), true);
    images.take(label);
  }
  const labels = ["cat", "dog"];
  const retractions = images.retractions(sameClasses(labels), { labels, formerLabels: [] });
  assert.deepEqual([...retractions.counts], [1, 1]);
  assert.ok(images.isErased(sha256) && [0, 1].every((index) => retractions.has(index, identityOf(sha256), 0)));
});
