import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { publish } from "../../../operators/version/publish.js";
import { diffVersions } from "../../../pipelines/versions/diff-versions.js";
import { diffText } from "../../../cli/report/version-diff.js";
import type { Manifest } from "../../../schemas/manifest.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { chosenRows, madeCut, madeImage } from "../../fixtures/cuts.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";
import { publishOptions } from "../../fixtures/publishing.js";

const none = new Map<string, never>();

/** Images by name and the order of their ranks, class by class. */
async function publishNames(store: ReturnType<typeof openMemoryStore>, names: readonly string[][], k = 9) {
  const classes = names.map((images, index) =>
    chosenRows(
      index,
      images.map((name, row) => ({ image: madeImage(name), key: -1 - row })),
    ),
  );
  return (await publish(madeCut(classes, { k }), publishOptions(none, { store, groupRows: 4 }))).manifest;
}

test("tells which rows came, went and moved, class by class", async () => {
  const store = openMemoryStore();
  const before = await publishNames(store, [["a", "b", "c"], [], ["x"]]);
  const after = await publishNames(store, [["a", "c", "d", "e"], ["y"], []], 10);
  const diff = await diffVersions(store, before, after);
  assert.equal(diff.same, false);
  assert.deepEqual(diff.parameters, [{ name: "k", before: "9", after: "10" }]);
  assert.deepEqual(diff.totals, { added: 3, removed: 2, moved: 1, kept: 1 });
  assert.deepEqual(
    diff.classes.map(({ label, rowsBefore, rowsAfter, added, removed, moved }) => [
      label,
      rowsBefore,
      rowsAfter,
      added,
      removed,
      moved,
    ]),
    [
      ["label 0", 3, 4, 2, 1, 1],
      ["label 1", 0, 1, 1, 0, 0],
      ["label 2", 1, 0, 0, 1, 0],
    ],
  );
  assert.deepEqual(
    diff.classes.map(({ cutoffBefore, cutoffAfter }) => [cutoffBefore, cutoffAfter]),
    [
      [Math.exp(-3), Math.exp(-4)],
      [null, Math.exp(-1)],
      [Math.exp(-1), null],
    ],
  );
  assert.equal((await diffVersions(store, after, after)).same, true);
});

test("agrees with a comparison of sets, over any two versions", async () => {
  const version = fc.array(fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h"), { maxLength: 8 }), {
    minLength: 3,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(version, version, async (left, right) => {
      const store = openMemoryStore();
      const [before, after] = [await publishNames(store, left), await publishNames(store, right)];
      const { classes } = await diffVersions(store, before, after);
      assert.deepEqual(
        classes.map(({ added, removed, moved }) => [added, removed, moved]),
        left.map((had, index) => {
          const has = right[index]!;
          return [
            has.filter((name) => !had.includes(name)).length,
            had.filter((name) => !has.includes(name)).length,
            has.filter((name, rank) => had.includes(name) && had[rank] !== name).length,
          ];
        }),
      );
    }),
    { numRuns: 25 },
  );
});

/** As if other teachers had made them, or the same one whose classes are called so. */
const named = (manifest: Manifest, labels: readonly string[], digest = manifest.teacher.digest): Manifest => ({
  ...manifest,
  teacher: { ...manifest.teacher, digest, labels: [...labels] },
  classes: manifest.classes.map((one, index) => ({ ...one, label: labels[index]! })),
});

test("classes of another teacher are compared by their names, also where they stand in another order", async () => {
  const store = openMemoryStore();
  const before = named(
    await publishNames(store, [["a", "b"], ["x"], ["p"], ["s"]]),
    ["cat", "dog", "crane", "crane"],
    "f".repeat(64),
  );
  const after = named(await publishNames(store, [["x", "y"], ["q"], ["b"], ["p"], ["s"]]), [
    "dog",
    "emu",
    "cat",
    "crane",
    "crane",
  ]);
  const { classes, totals } = await diffVersions(store, before, after);
  assert.deepEqual(
    classes.map((one) => [one.label, one.classBefore, one.class, one.added, one.removed, one.moved]),
    [
      ["dog", 1, 0, 1, 0, 0],
      ["emu", null, 1, 1, 0, 0],
      ["cat", 0, 2, 0, 1, 1],
      ["crane", 2, 3, 0, 0, 0],
      ["crane", 3, 4, 0, 0, 0],
    ],
  );
  assert.deepEqual(totals, { added: 2, removed: 1, moved: 1, kept: 3 });
  const back = await diffVersions(store, after, before);
  assert.deepEqual(back.classes.at(-1), {
    ...back.classes.at(-1)!,
    label: "emu",
    classBefore: 1,
    class: null,
    removed: 1,
  });
  const other = named(before, ["one", "two", "three", "four"], "e".repeat(64));
  await assert.rejects(diffVersions(store, other, after), (error) => isSluiceError(error, "E_USAGE"));
});

test("classes of one teacher stay the same when they get other names", async () => {
  const store = openMemoryStore();
  const before = await publishNames(store, [["a", "b"], ["x"]]);
  const after = named(before, ["dog", "cat"]);
  const diff = await diffVersions(store, named(before, ["cat", "dog"]), after);
  assert.deepEqual(diff.totals, { added: 0, removed: 0, moved: 0, kept: 3 });
  assert.deepEqual(
    diff.classes.map(({ label, labelBefore }) => [labelBefore, label]),
    [
      ["cat", "dog"],
      ["dog", "cat"],
    ],
  );
  assert.deepEqual(diff.parameters, []);
  assert.match(diffText(diff), /the same rows: .*\n2 classes with another name: #0 cat -> dog, #1 dog -> cat/);
});
