import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClassReader } from "../../../pipelines/versions/class-reader.js";

interface Row {
  readonly class: number;
  readonly rank: number;
  readonly sha256: string;
  readonly repeat: number;
}

/** Row groups of so many rows, as an index gives them. */
async function* groupsOf(rows: readonly Row[], size: number) {
  for (let start = 0; start < rows.length; start += size) {
    const group = rows.slice(start, start + size);
    yield {
      count: group.length,
      class: group.map((row) => row.class),
      rank: group.map((row) => row.rank),
      sha256: group.map((row) => row.sha256),
      repeat: group.map((row) => row.repeat),
    };
  }
}

const readerOf = (classes: readonly (readonly number[])[], size: number, rounds = 1) => {
  const rows = classes.flatMap((images, index) =>
    Array.from({ length: rounds }, (_, repeat) => images.map((image) => ({ image, repeat })))
      .flat()
      .map(({ image, repeat }, at) => ({ class: index, rank: at + 1, sha256: `image ${image}`, repeat })),
  );
  return new ClassReader(groupsOf(rows, size), (columns, row) => `${columns.sha256[row]!}@${columns.rank[row]!}`);
};

test("places of one version's images in another are those of a search through all, however far they moved", async () => {
  const images = fc.uniqueArray(fc.nat(60), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(images, images, fc.integer({ min: 1, max: 20 }), async (before, after, size) => {
      const had = await readerOf([before], size).read(0);
      const has = await readerOf([after], 7).read(0);
      assert.deepEqual(
        [...had.placesOf(has)],
        after.map((image) => before.indexOf(image)),
      );
      assert.deepEqual(
        before.map((_, place) => had.at(place)),
        before.map((image, place) => `image ${image}@${place + 1}`),
      );
    }),
  );
});

test("an image that is repeated counts once; classes are read in any order ahead, and are empty where there are none", async () => {
  const reader = readerOf([[1, 2], [], [3, 1], [4]], 3, 2);
  const third = await reader.read(2);
  assert.deepEqual([third.count, third.at(1), third.rankAt(0)], [2, "image 1@2", 1]);
  const first = await reader.read(0);
  assert.deepEqual(first.digests, ["image 1", "image 2"]);
  assert.equal((await reader.read(null)).count, 0);
  assert.equal((await reader.read(1)).count, 0);
  assert.deepEqual((await reader.read(3)).digests, ["image 4"]);
});
