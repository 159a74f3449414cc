import assert from "node:assert/strict";
import { test } from "node:test";
import { labelsFitting, parseLabels } from "../../../../connectors/engine/teacher/label-file.js";
import { isSluiceError } from "../../../../schemas/errors.js";

const read = (text: string | Uint8Array) =>
  parseLabels(typeof text === "string" ? Buffer.from(text) : text, "names.txt");
const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, "utf16le");
const RGB = ["red", "green", "blue"];

test("a file of labels is read as a person reads it", () => {
  const files: readonly (string | Uint8Array)[] = [
    "red\ngreen\nblue",
    "red\ngreen\nblue\n\n\n",
    "\ufeffred\r\ngreen\r\nblue\r\n",
    "red\rgreen\rblue\r",
    "red  \n green\nblue\t\n",
    '"red"\n"green"\n"blue"\n',
    utf16("red\r\ngreen\r\nblue\r\n"),
    Buffer.from(utf16("red\ngreen\nblue")).swap16(),
    "0: red\n1: green\n2: blue\n",
    "0 red\n1 green\n2 blue",
    "2\tblue\n0\tred\n1\tgreen",
    "0,red\n1,green\n2,blue",
    "0 - red\n1 - green\n2 - blue",
    "0: 'red'\n\n1: 'green'\n2: 'blue'",
    "names:\n  0: red\n  1: green\n  2: blue\n",
    "red,0\ngreen,1\nblue,2",
    "red 0\ngreen 1\nblue 2",
    "index,label\r\n0,red\r\n1,green\r\n2,blue\r\n",
    "id;name\n0;red\n1;green\n2;blue",
    'index,mid,display_name\n0,/m/09x0r,"red"\n1,/m/05zppz,"green"\n2,/m/02zsn,"blue"',
    "label\nred\ngreen\nblue\n",
    "n01440764 red\nn01443537 green\nn01484850 blue",
    '["red", "green", "blue"]',
    '{"0": "red", "2": "blue", "1": "green"}',
    '{"green": 1, "red": 0, "blue": 2}',
    '{"0": ["n01440764", "red"], "1": ["n01443537", "green"], "2": ["n01484850", "blue"]}',
    '{"model_type": "vit", "id2label": {"0": "red", "1": "green", "2": "blue"}, "label2id": {"red": 0}}',
    '\ufeff{"names": ["red", "green", "blue"]}',
    // Python's str of a dict and a list, as gists of ImageNet's names are
    "{0: 'red',\n 1: 'green',\n 2: 'blue'}\n",
    "['red', 'green', 'blue',]\n",
    '["red", "green", "blue",]',
    '{"id": 0, "name": "red"}\n{"id": 2, "name": "blue"}\n{"id": 1, "name": "green"}\n',
    '[{"id": 2, "name": "blue"}, {"id": 0, "name": "red"}, {"id": 1, "name": "green"}]',
    '{"info": {}, "categories": [{"id": 0, "name": "red"}, {"id": 1, "name": "green"}, {"id": 2, "name": "blue"}]}',
    '{"vocab": ["red", "green", "blue"]}',
    '{"version": 2, "idx_to_class": {"0": "red", "1": "green", "2": "blue"}}',
    '{"class_to_idx": {"red": 0, "blue": 2, "green": 1}}',
    '{"red": "0", "green": "1", "blue": "2"}',
    '"red",\n"green",\n"blue"\n',
    "'red',\n'green',\n'blue',\n",
    "CLASSES = ['red', 'green', 'blue']\n",
    "CLASSES: list[str] = [\n  'red',\n  'green',\n  'blue',\n]\n",
    "export const CLASSES = {\n  0: 'red',\n  1: 'green',\n  2: 'blue'\n};\n",
    "- red\n- green\n- blue\n",
    "names:\n- red\n- green\n- blue\n",
    "path: ../x\ntrain: images\n\nnc: 3\nnames:\n  0: red\n  1: green\n  2: blue\n",
    "nc: 3\nnames: ['red', 'green', 'blue']  # three\n",
    'item {\n  id: 0\n  name: "red"\n}\nitem { name: \'green\' id: 1 }\nitem {\n id: 2\n name: "/m/1"\n display_name: "blue"\n}\n',
    "# classes of the model\nred\ngreen\nblue\n",
    "0) red\n1) green\n2) blue\n",
    "0. red\n1. green\n2. blue\n",
    "[0] red\n[1] green\n[2] blue\n",
    "0 -> red\n1 -> green\n2 -> blue\n",
    "class 0: red\nclass 1: green\nclass 2: blue\n",
    "red, green, blue\n",
    "class_id,class_name,supercategory\n0,red,warm\n2,blue,cold\n1,green,cold\n",
    "label,count\nred,100\ngreen,50\nblue,7\n",
    "\u200bred\ngreen\u00a0\nblue\u200e\n",
  ];
  for (const file of files) assert.deepEqual(read(file).labels, RGB, String(file));
});

test("names keep what is theirs: commas, digits, quotes, the name twice", () => {
  assert.deepEqual(read("tench, Tinca tinca\ncrane\ncrane\n").labels, ["tench, Tinca tinca", "crane", "crane"]);
  assert.deepEqual(read("0: tench, Tinca tinca\n1: crane\n").labels, ["tench, Tinca tinca", "crane"]);
  assert.deepEqual(read("0\n1\n2\n").labels, ["0", "1", "2"]);
  assert.deepEqual(read("7\nno\nconstructor\n__proto__\n").labels, ["7", "no", "constructor", "__proto__"]);
  assert.deepEqual(read('index,label\n0,"a ""b"", c"\n1,d').labels, ['a "b", c', "d"]);
  assert.deepEqual(read('{"7": 0, "3": 1}').labels, ["7", "3"]);
  assert.deepEqual(read('{"__proto__": 1, "no": 0}').labels, ["no", "__proto__"]);
  assert.deepEqual(read("a b 7\nc d e\n").labels, ["a b 7", "c d e"]);
  assert.deepEqual(read("bird 0\nbird 1\n").labels, ["bird 0", "bird 1"]);
  assert.deepEqual(read("mr. x\n3.5 mm\n#1 fan\n-- none\n").labels, ["mr. x", "3.5 mm", "#1 fan", "-- none"]);
  assert.deepEqual(read("2 of clubs\n3 of clubs\n").labels, ["2 of clubs", "3 of clubs"]);
});

test("what cannot be meant is refused, with the line", () => {
  for (const [file, said] of [
    ["red\n\ngreen\nblue\n", /^names\.txt:2: expected a label on each line, found an empty one/],
    ["red\n \nblue\n", /^names\.txt:2: /],
    ['red\n""\nblue\n', /^names\.txt:2: expected a label, found ""/],
    ["1: red\n2: green\n3: blue", /^names\.txt:1: .*found 1: numbers are counted from 1 here/],
    ["1. red\n2. green\n3. blue", /^names\.txt:1: .*numbers are counted from 1 here/],
    ['item { id: 1 name: "red" }\nitem { id: 2 name: "green" }', /numbers are counted from 1 here/],
    ["id,name,x\n0,red,1\n1,green\n", /^names\.txt:3: expected 3 cells as the head has, found 2/],
    ["<!DOCTYPE html><html>", /a web page or XML: fetch the file again/],
    ["version https://git-lfs.github.com/spec/v1\noid sha256:1\n", /a pointer of Git LFS/],
    ["0: red\n1: green\n3: blue", /^names\.txt:3: .*found 3: number 2 has no line/],
    ["0,red\n1,\n2,blue", /^names\.txt:2: expected a name for class 1, found none/],
    ["", /^names\.txt: expected labels, found an empty file/],
    ['["red",\n "green",,\n "blue"]', /^names\.txt: expected labels in JSON/],
    ['["red", ""]', /element 1 of names\.txt: expected a name/],
    ['{"0": "red", "2": "blue"}', /expected numbers from 0 to 1, one a class, found 2/],
    ['{"red": "green"}', /found "red": "green"/],
    ["red\0green", /found other bytes/],
    [Buffer.from("gr\xfcn\nrot\n", "latin1"), /names\.txt: expected labels in UTF-8, .* found other bytes/],
  ] as const) {
    assert.throws(
      () => read(file),
      (error) => (isSluiceError(error, "E_TEACHER_LABELS") && said.test(error.message)) || assert.fail(String(error)),
    );
  }
});

test("another number of labels than outputs is said with both numbers, and what it may be", () => {
  const labels = Array.from({ length: 1000 }, (_, at) => `kind ${at}`).join("\n");
  assert.equal(labelsFitting(read(labels), 1000, "names.txt").length, 1000);
  assert.throws(
    () => labelsFitting(read(labels), 1001, "names.txt"),
    /Expected 1,001 labels in names\.txt.*found 1,000\. Where the model's first output is the background/,
  );
  assert.throws(
    () => labelsFitting(read(`background\n${labels}`), 1000, "names.txt"),
    /Expected 1,000 .*found 1,001\. The first of them is "background"/,
  );
  assert.throws(() => labelsFitting(read(labels), 10, "names.txt"), /Expected 10 .*found 1,000\. Give the file/);
  // A class may be called what heads a column elsewhere.
  assert.deepEqual(labelsFitting(read("name\nlabel\nclass"), 3, "names.txt"), ["name", "label", "class"]);
});
