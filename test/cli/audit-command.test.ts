import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Audited } from "../../pipelines/audit.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({ images: 40, datasets: "[{ name: flowers, select: { k: 5, p: 1 }, reserve: 2 }]" });
  assert.equal((await sluice("ingest", "pictures")).code, 0);
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const json = <T>(...args: string[]): Promise<T> => place.json<T>(...args);

test("an audit's sample is written down, judged, read again, and tells how right the version is", async () => {
  const drawn = await json<Audited>("audit", "latest", "--rows", "10", "--csv", "sample.csv");
  assert.equal(drawn.rows.length, 10);
  assert.equal(new Set(drawn.rows.map(({ sha256 }) => sha256)).size, 10);
  assert.equal(drawn.precision, null);
  assert.deepEqual((await json<Audited>("audit", "latest", "--rows", "10")).rows, drawn.rows);
  const other = await json<Audited>("audit", "latest", "--rows", "10", "--seed", "1");
  assert.notDeepEqual(other.rows, drawn.rows);

  // Eight are right, two are not: Wilson's interval of 8 in 10 is 49.0 % to 94.3 %.
  const [head, ...lines] = (await readFile(join(place.path, "sample.csv"), "utf8")).trim().split("\n");
  assert.equal(lines.length, 10);
  const judged = lines.map((line, at) => line.replace(",,", at < 8 ? ",is," : ",none,"));
  await writeFile(join(place.path, "judged.csv"), [head, ...judged].join("\n"));
  assert.match((await sluice("label", "import", "judged.csv", "--by", "anna")).out, /^10 images labelled\./);
  const audited = await json<Audited>("audit", "latest", "--rows", "10");
  const { right, low, high } = audited.precision!;
  assert.equal(right, 8);
  assert.ok(Math.abs(low - 0.490_16) < 1e-4 && Math.abs(high - 0.943_32) < 1e-4, `${low} to ${high}`);
  const sum = audited.classes.reduce((all, one) => all + (one.precision?.judged ?? 0), 0);
  assert.equal(sum, 10);
  assert.match(
    (await sluice("audit", "latest", "--rows", "10")).out,
    /8 of 10 judged rows right: 80\.0 %, between 49\.0 % and 94\.3 %/,
  );
  const each = await json<Audited>("audit", "latest", "--per-class", "2");
  assert.ok(each.classes.every((one) => one.drawn <= 2));
});

test("labels of images that were not seen yet are kept and listed as waiting", async () => {
  const unknown = "0".repeat(64);
  await writeFile(join(place.path, "unknown.csv"), `sha256,class\n${unknown},class-1\n`);
  const said = await sluice("label", "import", "unknown.csv");
  assert.equal(said.code, 0, said.err);
  assert.match(said.out, /1 image of them was not seen here yet/);
  const { labels } = await json<{ labels: { sha256: string }[] }>("label", "list", "--waiting");
  assert.deepEqual(
    labels.map(({ sha256 }) => sha256),
    [unknown],
  );
});

test("images that a tool names by their files are found by uri or name, or refused", async () => {
  const { rows } = await json<Audited>("audit", "latest", "--rows", "30");
  const row = rows.find(({ right }) => right === null)!;
  const path = new URL(row.uri).pathname;
  const task = (image: string) => [
    { id: 1, data: { image }, annotations: [{ result: [{ type: "choices", value: { choices: ["class-2"] } }] }] },
  ];
  await writeFile(join(place.path, "tasks.json"), JSON.stringify(task(path)));
  assert.match((await sluice("label", "import", "tasks.json")).out, /^1 image labelled/);
  await writeFile(
    join(place.path, "upload.json"),
    JSON.stringify(task(`/data/upload/1/0af3c1d2-${path.split("/").at(-1)!}`)),
  );
  assert.match((await sluice("label", "import", "upload.json")).out, /stands already/);
  const local = `/data/local-files/?d=${encodeURIComponent(path.split("/").slice(-2).join("/"))}`;
  await writeFile(join(place.path, "local.json"), JSON.stringify(task(local)));
  assert.match((await sluice("label", "import", "local.json")).out, /stands already/);
  // One that was scored, and is in no version
  const { rows: all } = await json<Audited>("audit", "latest", "--rows", "1000");
  const chosen = new Set(all.map(({ uri }) => uri));
  const names = (await readdir(join(place.path, "pictures"), { recursive: true })).filter((name) =>
    /\.png$/.test(name),
  );
  const left = names.find((name) => !chosen.has(pathToFileURL(join(place.path, "pictures", name)).href))!;
  await writeFile(join(place.path, "left.csv"), `path,label\npictures/${left},class-3\n`);
  const taken = await sluice("label", "import", "left.csv");
  assert.match(taken.out, /^1 image labelled\./, taken.err);
  assert.doesNotMatch(taken.out, /not seen here yet/);
  await writeFile(join(place.path, "other.json"), JSON.stringify(task("/data/upload/1/nobody.jpg")));
  const { code, err } = await sluice("label", "import", "other.json");
  assert.equal(code, 2);
  assert.match(err, /task 1 of other\.json an image that was seen here, found "\/data\/upload\/1\/nobody\.jpg"/);
});

test("an audit of classes that stand for several of the teacher's can be filled in and read: right, and taken out", async (t) => {
  const pairs =
    "{ even: [class-0, class-2, class-4, class-6, class-8], odd: [class-1, class-3, class-5, class-7, class-9] }";
  const datasets = `[{ name: halves, select: { k: 6, p: 1, labels: ${pairs} } }]`;
  const halves = await CommandFolder.make({ images: 30, datasets }, t);
  assert.equal((await halves.sluice("ingest", "pictures")).code, 0);
  const { rows } = await halves.json<Audited>("audit", "latest", "--rows", "6", "--csv", "sample.csv");
  const [head, ...lines] = (await readFile(join(halves.path, "sample.csv"), "utf8")).trim().split("\n");
  const judged = lines.map((line, at) => line.replace(",,", at === 0 ? ",not," : ",is,"));
  await writeFile(join(halves.path, "judged.csv"), [head, ...judged].join("\n"));
  const said = await halves.sluice("label", "import", "judged.csv");
  assert.match(said.out, /^6 images labelled/, said.err);
  const audited = await halves.json<Audited>("audit", "latest", "--rows", "6");
  assert.deepEqual([audited.precision!.right, audited.precision!.judged], [5, 6]);
  assert.equal((await halves.sluice("rebuild")).code, 0);
  const left = await halves.json<{
    classes: { label: string; left: number; entered: number }[];
    totals: { removed: number };
  }>("versions", "diff", "1", "2");
  assert.equal(left.totals.removed, 1, JSON.stringify(left));
  assert.equal((await halves.sluice("versions", "verify", "latest")).code, 0);
  assert.equal((await halves.sluice("reproduce", "latest")).code, 0);
  assert.ok(rows.length === 6);
});

test("classes of one name are named by number in a sample's list, which is read again", async (t) => {
  const place = await CommandFolder.make({ images: 30, datasets: "[{ name: flowers, select: { k: 5, p: 1 } }]" }, t);
  const path = join(place.path, "teacher", "model-card.json");
  const card = JSON.parse(await readFile(path, "utf8")) as object;
  const labels = Array.from({ length: 10 }, (_, at) => (at < 6 ? "crane" : `bird ${at}`));
  await writeFile(path, JSON.stringify({ ...card, labels }));
  assert.equal((await place.sluice("ingest", "pictures")).code, 0);
  const { rows } = await place.json<Audited>("audit", "latest", "--rows", "8", "--csv", "sample.csv");
  assert.ok(
    rows.some(({ class: label, named }) => label === "crane" && named.startsWith("#")),
    JSON.stringify(rows),
  );
  const [head, ...lines] = (await readFile(join(place.path, "sample.csv"), "utf8")).trim().split("\n");
  await writeFile(
    join(place.path, "judged.csv"),
    [head, ...lines.map((line) => line.replace(",,", ",is,"))].join("\n"),
  );
  const said = await place.sluice("label", "import", "judged.csv");
  assert.match(said.out, /^8 images labelled/, said.err);
  const { precision } = await place.json<Audited>("audit", "latest", "--rows", "8");
  assert.deepEqual([precision!.right, precision!.judged], [8, 8]);
});
