import assert from "node:assert/strict";
import { test } from "node:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { foreignLabels, labelFileOf, type LabelFile } from "../../../pipelines/versions/label-file.js";
import { isSluiceError } from "../../../schemas/errors.js";

const [A, B] = ["a".repeat(64), "b".repeat(64)];
const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const read = async (text: string, as: Exclude<LabelFile, "jsonl">, field?: string) => {
  const { labels, empty } = await foreignLabels(bytesOf(text), as, { where: "file", field });
  return { labels: labels.map(({ image, verdict, class: named, by }) => [image, verdict, named, by]), empty };
};
const refused = (text: string, as: Exclude<LabelFile, "jsonl">, message: RegExp, field?: string) =>
  assert.rejects(read(text, as, field), (error) => isSluiceError(error, "E_USAGE") && message.test(error.message));

test("CSV: heads in any order, quotes, a byte order mark, semicolons, rows that nobody filled in", async () => {
  const csv = `\uFEFFclass,sha256,verdict,by\n"tench, Tinca",${A},is,anna\ncat,${B},,\n,${B},none,\n`;
  assert.deepEqual(await read(csv, "csv"), {
    labels: [
      [{ sha256: A }, "is", "tench, Tinca", "anna"],
      [{ sha256: B }, "none", undefined, undefined],
    ],
    empty: 1,
  });
  assert.deepEqual((await read(`file;label\r\npictures/1.jpg;cat\r\n`, "csv")).labels, [
    [{ uri: "pictures/1.jpg" }, "is", "cat", undefined],
  ]);
  await refused(
    "digits,kind\n1,2\n",
    "csv",
    /Expected the columns sha256 or uri, and class, in file .*found digits, kind/,
  );
  await refused(`sha256,class\n"${A},cat\n`, "csv", /quote that is not closed/);
  await refused("", "csv", /found none/);
});

test("CSV as tools and people write it: Excel's hint, other heads, dates; what could shift is refused", async () => {
  const labels = async (text: string) => (await foreignLabels(bytesOf(text), "csv", { where: "file" })).labels;
  for (const text of [
    "sep=;\r\nuri;class\r\na, b.jpg;cat\r\n",
    '\n URI , Class Name \n"a, b.jpg",cat\n',
    "image_path\tspecies\ra, b.jpg\tcat\r",
    'url,target\n"a, b.jpg",cat,\n',
  ]) {
    const [one] = await labels(text);
    assert.deepEqual([one?.image, one?.class], [{ uri: "a, b.jpg" }, "cat"], text);
  }
  for (const [time, ms] of [
    ["2026-01-02T03:04:05Z", Date.UTC(2026, 0, 2, 3, 4, 5)],
    ["2026-01-02 03:04:05", Date.UTC(2026, 0, 2, 3, 4, 5)],
    ["2026-01-02T03:04:05.5+01:00", Date.UTC(2026, 0, 2, 2, 4, 5, 500)],
    ["2026-01-02", Date.UTC(2026, 0, 2)],
    ["1.7E+12", 1_700_000_000_000],
    ["02/01/2026", NaN],
  ] as const) {
    const [one] = await labels(`uri,class,time\na.jpg,cat,${time}\n`);
    assert.equal(one?.timeMs, ms, time);
  }
  assert.deepEqual((await labels(`digest,label\nsha256:${A},cat\n`))[0]?.image, { sha256: A });
  await refused("uri,class\na, b.jpg,cat\n", "csv", /Expected 2 cells on line 2 of file, .* found 3\. Quote a cell/);
  await refused("uri,class,label\na.jpg,cat,7\n", "csv", /found class and label\. Leave one of them out/);
});

test("Parquet: the same columns", async () => {
  const file = parquetWriteBuffer({
    columnData: [
      { name: "sha256", data: [A, B], type: "STRING" },
      { name: "label", data: ["cat", "dog"], type: "STRING" },
    ],
  });
  const { labels } = await foreignLabels(new Uint8Array(file), "parquet", { where: "file" });
  assert.deepEqual(
    labels.map(({ image, class: named }) => [image, named]),
    [
      [{ sha256: A }, "cat"],
      [{ sha256: B }, "dog"],
    ],
  );
  await refused("no parquet", "parquet", /Expected a Parquet file/);
});

test("a table that is rows of a version's index needs verdicts: its class is a number, and `by` is no person", async () => {
  const head = "class,label,rank,sha256,key,uri,event_time,by";
  const rows = [
    `0,cat,1,${A},-0.1,a.jpg,2026-01-01T00:00:00Z,teacher`,
    `0,cat,2,${B},-0.2,b.jpg,2026-01-01T00:00:00Z,label`,
  ];
  const judged = [`${head},verdict`, `${rows[0]!},not`, `${rows[1]!},`].join("\n");
  assert.deepEqual(await read(judged, "csv"), { labels: [[{ sha256: A }, "not", "cat", undefined]], empty: 1 });
  await refused([head, ...rows].join("\n"), "csv", /Expected a column verdict .* the columns of a version's index/);
});

test("Parquet as pandas and others write it: NaN for nothing, digests as bytes, no rows at all", async () => {
  const file = (columnData: Parameters<typeof parquetWriteBuffer>[0]["columnData"]) =>
    foreignLabels(new Uint8Array(parquetWriteBuffer({ columnData })), "parquet", { where: "file" });
  const { labels, empty } = await file([
    { name: "sha256", data: [A, B], type: "STRING" },
    { name: "class", data: ["cat", null], type: "STRING" },
    { name: "timeMs", data: [Number.NaN, 1_700_000_000_000], type: "DOUBLE" },
  ]);
  assert.deepEqual([labels.map((one) => [one.class, one.timeMs]), empty], [[["cat", undefined]], 1]);
  const nothing = await file([
    { name: "sha256", data: [], type: "STRING" },
    { name: "class", data: [], type: "STRING" },
  ]);
  assert.deepEqual(nothing, { labels: [], empty: 0 });
});

test("Label Studio: the newest annotation that was not cancelled, in JSON and JSON-MIN", async () => {
  const said = (choice: string, more: object) => ({
    completed_by: { email: "anna@example.org" },
    result: [{ type: "choices", from_name: "c", to_name: "i", value: { choices: [choice] } }],
    ...more,
  });
  const tasks = [
    {
      id: 7,
      data: { image: "/data/upload/1/0af3c1d2-cat.jpg" },
      annotations: [said("Dog", {}), said("Cat", {}), said("Fox", { was_cancelled: true })],
    },
    { id: 8, data: { image: "s3://wild/8.jpg", sha256: A }, annotations: [] },
    { id: 9, data: { sha256: B }, annotations: [{ result: [], completed_by: 3 }] },
  ];
  assert.deepEqual(await read(JSON.stringify(tasks), "label-studio"), {
    labels: [[{ uri: "/data/upload/1/0af3c1d2-cat.jpg" }, "is", "Cat", "anna@example.org"]],
    empty: 2,
  });
  const min = [{ image: "s3://wild/8.jpg", id: 8, choice: "Cat", annotator: 1 }];
  assert.deepEqual((await read(JSON.stringify(min), "label-studio")).labels, [
    [{ uri: "s3://wild/8.jpg" }, "is", "Cat", "annotator 1"],
  ]);
  const two = [
    { id: 1, data: { image: "a" }, annotations: [{ result: [{ type: "choices", value: { choices: ["A", "B"] } }] }] },
  ];
  await refused(JSON.stringify(two), "label-studio", /one choice in task 1 of file, found A, B/);
  await refused("{}", "label-studio", /Expected a list of tasks/);
});

test("Label Studio: of annotations in any order the newest by its time; an author without address by number, or nobody", async () => {
  const said = (choice: string, updated_at: string, completed_by: unknown) => ({
    completed_by,
    updated_at,
    result: [{ type: "choices", value: { choices: [choice] } }],
  });
  const task = (...annotations: object[]) => JSON.stringify([{ id: 1, data: { image: "a.jpg" }, annotations }]);
  const [early, late] = ["2026-01-01T00:00:00.5Z", "2026-02-01T00:00:00Z"];
  for (const [by, expected] of [
    [{ id: 4, first_name: "Anna" }, "annotator 4"],
    [null, undefined],
    [{ email: "anna@example.org", id: 4 }, "anna@example.org"],
  ] as const) {
    const { labels } = await read(task(said("New", late, by), said("Old", early, 2)), "label-studio");
    assert.deepEqual(labels, [[{ uri: "a.jpg" }, "is", "New", expected]]);
  }
});

test("FiftyOne: a number that is no class is refused, and not taken for a row that nobody has judged", async () => {
  const labels = (one: unknown) => JSON.stringify({ classes: ["cat", "dog"], labels: { "1": one } });
  assert.deepEqual((await read(labels({ label: 1, confidence: 0.5 }), "fiftyone")).labels[0]?.[2], "dog");
  assert.equal((await read(labels(null), "fiftyone")).empty, 1);
  for (const number of [2, -1, 0.5])
    await refused(labels(number), "fiftyone", new RegExp(`numbers of its 2 classes, found ${number} for "1"`));
});

test("FiftyOne: samples.json by its field of classifications, labels.json by names or numbers", async () => {
  const label = (name: string) => ({ _cls: "Classification", label: name, confidence: 1 });
  const samples = [
    { filepath: "/pictures/1.jpg", ground_truth: label("cat"), tags: [] },
    { filepath: "/pictures/2.jpg", ground_truth: null },
  ];
  assert.deepEqual(await read(JSON.stringify({ samples }), "fiftyone"), {
    labels: [[{ uri: "/pictures/1.jpg" }, "is", "cat", undefined]],
    empty: 1,
  });
  const both = { samples: [{ filepath: "/1.jpg", mine: label("cat"), theirs: label("dog") }] };
  await refused(JSON.stringify(both), "fiftyone", /one field of classifications in file, found mine, theirs/);
  assert.deepEqual((await read(JSON.stringify(both), "fiftyone", "theirs")).labels[0]![2], "dog");
  const labels = { classes: ["cat", "dog"], labels: { "000001": 1, "000002": "cat", "000003": null } };
  assert.deepEqual(await read(JSON.stringify(labels), "fiftyone"), {
    labels: [
      [{ name: "000001" }, "is", "dog", undefined],
      [{ name: "000002" }, "is", "cat", undefined],
    ],
    empty: 1,
  });
  await refused("[1]", "fiftyone", /Expected samples or labels/);
});

test("what a file is shows in its name and content", () => {
  const kind = (path: string, text: string) => labelFileOf(path, bytesOf(text));
  assert.equal(kind("a.csv", ""), "csv");
  assert.equal(kind("a.tsv", ""), "csv");
  assert.equal(kind("a", "PAR1"), "parquet");
  assert.equal(kind("a.json", '[{"id":1,"annotations":[]}]'), "label-studio");
  assert.equal(kind("samples.json", '{"samples":[]}'), "fiftyone");
  assert.equal(kind("labels.json", '[{"sha256":"…","verdict":"none"}]'), "jsonl");
  assert.equal(kind("-", '{"sha256":"…"}'), "jsonl");
});
