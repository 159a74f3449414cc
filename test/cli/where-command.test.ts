import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import type { ImageLife } from "../../schemas/api/images.js";
import type { Diff } from "../../schemas/api/versions.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;
const free: string[] = [];

before(async () => {
  place = await CommandFolder.make({ images: 24, datasets: "[{ name: flowers, select: { k: 4, p: 2 } }]" });
  const folder = join(place.path, "pictures");
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".png")).sort();
  for (const [at, name] of names.entries()) {
    const licence = at % 3 === 0 ? "CC0" : at % 3 === 1 ? "proprietary" : null;
    if (licence !== null) await writeFile(join(folder, `${name}.json`), JSON.stringify({ licence }));
    if (licence === "CC0") free.push(name);
  }
  const ran = await sluice("ingest", "pictures");
  assert.equal(ran.code, 0, ran.err);
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const json = <T>(...args: string[]): Promise<T> => place.json<T>(...args);
const latest = (): Promise<Manifest> => json<Manifest>("versions", "show", "latest");

/** Rows of SQL over Parquet files */
async function query(sql: string): Promise<Record<string, unknown>[]> {
  const database = await DuckDBInstance.create();
  const connection = await database.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS();
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

function indexOf({ files }: Manifest): string {
  const keys = files.filter(({ key }) => key.endsWith(".parquet")).map(({ key }) => `'${place.stored(key)}'`);
  return `read_parquet([${keys.join(", ")}])`;
}

test("a version has only images that meet its conditions; whatif, the card, explain and diff say what was left out", async () => {
  const all = await latest();
  const asked = "{licence: [CC0]}";
  const if_ = await sluice("whatif", "--where", asked);
  assert.match(if_.out, /Left out by where: licence 16 rows\./, if_.err);
  const said = await sluice("datasets", "set", "flowers", `where=${asked}`);
  assert.match(said.out + said.err, /dataset flowers: where .*CC0/);
  assert.equal((await sluice("rebuild")).code, 0);
  const few = await latest();
  assert.notEqual(few.id, all.id);
  assert.deepEqual(await query(`select distinct licence from ${indexOf(few)}`), [{ licence: "CC0" }]);
  assert.equal(few.totals.images, free.length);
  const readme = few.files.find(({ key }) => key.endsWith("README.md"))!;
  const card = await sluice("versions", "export", "latest", "--as", "csv", "--to", "rows");
  assert.equal(card.code, 0, card.err);
  assert.match(await text(place.stored(readme.key)), /only of images with licence one of CC0/);
  assert.match(await text(join(place.path, "rows", "README.md")), /only of images with licence one of CC0/);

  const [out] = await query(`select sha256 from ${indexOf(all)} where licence = 'proprietary' limit 1`);
  const life = await json<ImageLife>("versions", "explain", String(out!["sha256"]));
  const because = life.fates.filter(({ number }) => number === few.number).map((one) => one.because);
  assert.deepEqual([...new Set(because)], ["left out by where: licence"]);
  const { classes } = await json<Diff>("versions", "diff", String(all.number), "latest");
  const left = classes.flatMap(({ reasons }) => reasons.left.map(({ reason }) => reason));
  assert.deepEqual([...new Set(left)], ["parameters"]);
  for (const command of ["verify", "show"]) assert.equal((await sluice("versions", command, "latest")).code, 0);
  assert.equal((await sluice("reproduce", "latest")).code, 0);
  // Another spelling is the same, and makes no version.
  await sluice("datasets", "set", "flowers", "where={licence: [CC0, CC0], width: {}}");
  assert.equal((await json<{ outcome: string }>("rebuild")).outcome, "unchanged");
});

test("a person's word places no image that the conditions leave out", async () => {
  const [out] = await query(
    `select sha256 from ${indexOf(await json<Manifest>("versions", "show", "1"))} where licence is null limit 1`,
  );
  const sha256 = String(out!["sha256"]);
  const { label } = (await latest()).classes[0]!;
  assert.equal((await sluice("label", "is", label, sha256)).code, 0);
  await sluice("rebuild");
  assert.deepEqual(await query(`select 1 from ${indexOf(await latest())} where sha256 = '${sha256}'`), []);
  assert.equal((await sluice("label", "withdraw", sha256)).code, 0);
});

test("what no row can meet, or no row has, is refused with its place and what there is", async () => {
  const refusals: [string, RegExp][] = [
    ["where={colour: [red]}", /select\.where.*colour.*licence, origin/s],
    ["where={width: {least: 9, most: 5}}", /select\.where\.width\.least: expected at most 5/],
    ["where={notes: {any: [blurred]}}", /select\.where\.notes\.any/],
    ["where={eventTime: {from: yesterday}}", /select\.where\.eventTime\.from/],
  ];
  for (const [setting, message] of refusals) {
    const { code, err } = await sluice("datasets", "set", "flowers", setting);
    assert.equal(code, 2, err);
    assert.match(err, message);
  }
  const empty = await sluice("rebuild", "--set", "datasets.0.select.where={licence: [none such]}");
  assert.equal(empty.code, 1);
  assert.match(empty.err, /E_PUBLISH_EMPTY.*asks for images with licence one of none such: `sluice whatif`/);
});

test("each delta, applied to the version before it, gives the next version's rows with their ranks", async () => {
  await sluice("datasets", "set", "flowers", "where=", "k=7");
  assert.equal((await sluice("rebuild")).code, 0);
  const { rows } = await json<{ rows: { sha256: string }[] }>("versions", "sheet", "latest");
  for (const { sha256 } of rows.slice(0, 3)) assert.equal((await sluice("label", "none", sha256)).code, 0);
  assert.equal((await sluice("rebuild")).code, 0);
  const last = (await latest()).number;
  assert.ok(last >= 4);
  const columns =
    'class, label, sha256, key, probability, uri, "partition", "offset", event_time, size_bytes, width, height, licence, origin, notes, bytes, "by"';
  const statements = [
    `create table rows as select ${columns} from ${indexOf(await json<Manifest>("versions", "show", "1"))}`,
  ];
  const reasons = new Set<unknown>();
  const database = await DuckDBInstance.create();
  const connection = await database.connect();
  try {
    for (let number = 2; number <= last; number++) {
      const told = await json<{ file: string; entered: number; left: number }>(
        ...[
          "versions",
          "diff",
          String(number - 1),
          String(number),
          "--as",
          "parquet",
          "--to",
          `delta-${number}.parquet`,
        ],
      );
      const delta = `read_parquet('${told.file}')`;
      statements.push(
        `delete from rows using ${delta} as d where d.change <> 'entered' and d.class = rows.class and d.sha256 = rows.sha256`,
        `insert into rows select ${columns} from ${delta} where change <> 'left'`,
      );
      for (const statement of statements.splice(0)) await connection.run(statement);
      const ranked = `select row_number() over (partition by class order by "by" = 'label' desc, key desc, sha256) as rank, * from rows`;
      const next = `select rank, ${columns} from ${indexOf(await json<Manifest>("versions", "show", String(number)))}`;
      const other = await connection.runAndReadAll(
        `(${ranked} except all ${next}) union all (${next} except all ${ranked})`,
      );
      assert.deepEqual(other.getRowObjectsJS(), [], `version ${number}`);
      const found = await connection.runAndReadAll(`select change, reason, because from ${delta}`);
      for (const row of found.getRowObjectsJS()) reasons.add(`${row["change"] as string} ${row["reason"] as string}`);
      assert.equal(found.getRowObjectsJS().filter((row) => row["change"] === "entered").length, told.entered);
    }
  } finally {
    connection.closeSync();
    database.closeSync();
  }
  for (const expected of ["left parameters", "entered parameters", "left label"])
    assert.ok(reasons.has(expected), `${expected} of ${[...reasons].join(", ")}`);
  assert.equal((await sluice("versions", "diff", "1", "2", "--to", "x.parquet")).code, 2);
  assert.equal((await sluice("versions", "diff", "1", "2", "--as", "parquet", "--to", "no/such/x.parquet")).code, 2);
});

async function text(path: string): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  return readFile(path, "utf8");
}

test("an erased image, of which no licence is known any more, is no fault of a version that asks for licences; reproduce says why it differs", async () => {
  assert.equal((await sluice("datasets", "set", "flowers", "where={licence: [CC0]}", "k=3")).code, 0);
  assert.equal((await sluice("rebuild")).code, 0);
  assert.deepEqual((await latest()).select.where, { licence: ["CC0"] });
  const { rows } = await json<{ rows: { sha256: string }[] }>("audit", "latest", "--rows", "1");
  assert.equal((await sluice("erase", rows[0]!.sha256, "--yes")).code, 0);
  const verified = await sluice("versions", "verify", "latest");
  assert.equal(verified.code, 0, verified.out + verified.err);
  const { out, err } = await sluice("reproduce", "latest");
  assert.match(out + err, /1 image was erased from it: of them the archive has no licence and origin any more/);
});
