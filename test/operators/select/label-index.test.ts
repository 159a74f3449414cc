import assert from "node:assert/strict";
import { test } from "node:test";
import { classesNamed, labelIndex } from "../../../operators/select/label-index.js";
import { uniqueName } from "../../../schemas/class-names.js";
import { isSluiceError } from "../../../schemas/errors.js";

const BITING = [
  [
    "constructor",
    "__proto__",
    "7",
    "no",
    "Y",
    "",
    "x".repeat(300),
    "a/b",
    "..",
    "CON",
    "naïve 猫",
    "tench, Tinca tinca",
  ],
  ["toString", "hasOwnProperty", "1", "#1", "null", " ", "a:b", "\\", "*", "-1", "0", "#99"],
].flat();

test("every class is named by its number, and by its label unless that is another class's number", () => {
  for (const [index, label] of BITING.entries()) {
    assert.equal(labelIndex({ labels: BITING }, `#${index}`, "a test"), index);
    if (label !== "#1") assert.equal(labelIndex({ labels: BITING }, label, "a test"), index, label);
    assert.equal(labelIndex({ labels: BITING }, uniqueName(BITING, index), "a test"), index, label);
  }
});

test("a label of two classes is refused with both, by number", () => {
  const labels = ["tench", "crane", "dog", "crane"];
  assert.throws(
    () => labelIndex({ labels }, "crane", "--classes"),
    (error) =>
      isSluiceError(error, "E_SELECTION") &&
      /in --classes, found "crane", which 2 classes have: #1 crane, #3 crane\. Name it by its number: #1 or #3\./.test(
        error.message,
      ),
  );
  assert.equal(uniqueName(labels, 3), "#3");
  assert.equal(uniqueName(labels, 2), "dog");
  assert.deepEqual(classesNamed({ labels }, "crane", 3), [3]);
  assert.deepEqual(classesNamed({ labels }, "crane", 2), [1, 3]);
});

test("what names no class is refused with what may have been meant", () => {
  const labels = ["Crane", "dog ", "cat"];
  for (const [name, said] of [
    ["crane", /Similar: #0 Crane\./],
    ["dog", /Similar: #1 dog \./],
    ["#3", /found "#3"\. They begin with #0 Crane/],
    ["", /They begin with/],
  ] as const) {
    assert.throws(() => labelIndex({ labels }, name, "here"), said);
  }
});

test("a name that a class had before means it, unless another class is called so now", () => {
  const names = {
    labels: ["dog", "cat"],
    formerLabels: [
      ["cat", "dog"],
      ["class-0", "class-1"],
    ],
  };
  assert.equal(labelIndex(names, "cat", "x"), 1);
  assert.equal(labelIndex(names, "class-0", "x"), 0);
});

test("the same characters written in another way are the same name", () => {
  assert.equal(labelIndex({ labels: ["cafe", "caf\u00e9"] }, "cafe\u0301", "x"), 1);
});
