import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import sharp from "sharp";
import {
  eachRow,
  fileNumber,
  imageFormat,
  rowGroup,
  sampleName,
  sheetRows,
  shuffledOrder,
} from "../../../operators/version/publish-plan.js";
import { manyClasses } from "../../fixtures/cuts.js";

const counts = fc.array(fc.nat(9), { minLength: 1, maxLength: 8 });

describe("a group of classes", () => {
  test("visits any range of its rows in order, each once", () => {
    fc.assert(
      fc.property(counts, fc.nat(80), fc.nat(80), (sizes, a, b) => {
        const { classes } = manyClasses(sizes.length, (index) => sizes[index]!);
        const group = rowGroup(classes);
        const [start, end] = [Math.min(a, b), Math.min(Math.max(a, b), group.rows)];
        const visited: string[] = [];
        eachRow(group, start, end, (rows, row, position) => visited.push(`${position}: ${rows.class}/${row}`));
        const all = sizes.flatMap((size, index) => Array.from({ length: size }, (_, row) => `${index}/${row}`));
        assert.equal(group.rows, all.length);
        assert.deepEqual(
          visited,
          all.map((name, position) => `${position}: ${name}`).slice(start, Math.max(start, end)),
        );
      }),
    );
  });

  test("is shuffled to an order of all its rows that depends on nothing else", () => {
    fc.assert(
      fc.property(counts, (sizes) => {
        const { classes } = manyClasses(sizes.length, (index) => sizes[index]!);
        const order = shuffledOrder(rowGroup(classes));
        assert.deepEqual(
          [...order].sort((a, b) => a - b),
          Array.from(order.keys()),
        );
        assert.deepEqual(shuffledOrder(rowGroup(classes)), order);
      }),
    );
  });
});

test("names of samples and files sort as their numbers", () => {
  const pairs = [
    [0, 1],
    [0, 2],
    [0, 10],
    [9, 16_000],
    [10, 1],
    [21_840, 99_999_999],
  ] as const;
  const names = pairs.map(([classIndex, rank]) => sampleName(classIndex, rank));
  assert.deepEqual(names.toSorted(), names);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => !name.includes(".")));
  assert.deepEqual([0, 9, 10, 123_456].map(fileNumber), ["000000", "000009", "000010", "123456"]);
});

test("formats follow the bytes, whatever the file was called", async () => {
  const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } });
  for (const [format, extension] of [
    ["jpeg", "jpg"],
    ["png", "png"],
    ["webp", "webp"],
    ["gif", "gif"],
    ["tiff", "tiff"],
    ["avif", "avif"],
  ] as const) {
    assert.equal(imageFormat(new Uint8Array(await picture.clone().toFormat(format).toBuffer())), extension);
  }
  assert.equal(imageFormat(new TextEncoder().encode("BM......")), "bmp");
  assert.equal(imageFormat(new Uint8Array([1, 2, 3])), "bin");
  assert.equal(imageFormat(new Uint8Array(0)), "bin");
});

test("a contact sheet has best, median and worst rows, none twice, all where they are few", () => {
  assert.deepEqual(sheetRows(100, 3), { best: [0, 1, 2], median: [48, 49, 50], worst: [97, 98, 99] });
  assert.deepEqual(sheetRows(0, 3), { best: [], median: [], worst: [] });
  fc.assert(
    fc.property(fc.nat(60), fc.integer({ min: 1, max: 12 }), (count, width) => {
      const { best, median, worst } = sheetRows(count, width);
      const rows = [...best, ...median, ...worst];
      assert.deepEqual(
        rows,
        [...new Set(rows)].sort((a, b) => a - b),
      );
      assert.ok(rows.every((row) => row >= 0 && row < count));
      assert.equal(rows.length, Math.min(count, 3 * width));
      assert.ok([best, median, worst].every((line) => line.length <= width));
    }),
  );
});
