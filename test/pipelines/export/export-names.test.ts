import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkKey } from "../../../connectors/store/object-key.js";
import { classFolders } from "../../../pipelines/export/export-names.js";

const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

test("folders of classes keep what can be kept of their labels", () => {
  assert.deepEqual(
    classFolders(["golden retriever", "..", "a/b", "CON", "猫", "Café", "cafe", "café", " x.", "y".repeat(300)]),
    [
      ...[
        "0000-golden_retriever",
        "0001",
        "0002-a_b",
        "0003-CON",
        "0004",
        "0005-Cafe",
        "0006-cafe",
        "0007-cafe",
        "0008-x",
      ],
      `0009-${"y".repeat(60)}`,
    ],
  );
});

test("whatever the labels, folders differ without their case, sort as the classes, and are names everywhere", () => {
  const label = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("..", ".", "", "nul", "a/../b", "\0", "a "),
  );
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 12 }), (labels) => {
      const folders = classFolders(labels);
      assert.deepEqual(folders.toSorted(), folders);
      assert.equal(new Set(folders.map((name) => name.toLowerCase())).size, labels.length);
      for (const name of folders) {
        checkKey(`images/${name}/x`);
        assert.ok(!RESERVED.test(name) && !/[. ]$/.test(name) && name.length < 100);
      }
    }),
  );
});
