import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Diff } from "../../schemas/api/versions.js";
import type { ImageLife } from "../../schemas/api/images.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";
import { writePictures } from "../fixtures/pictures.js";

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({
    images: 40,
    duplicates: 2,
    datasets: "[{ name: flowers, select: { k: 5, p: 1 }, reserve: 2 }]",
  });
  assert.equal((await sluice("ingest", "pictures")).code, 0);
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const json = <T>(...args: string[]): Promise<T> => place.json<T>(...args);
const digestAt = async (version: string, label: string, rank: number): Promise<string> => {
  const { rows } = await json<{ rows: { label: string; line: string; rank: number; sha256: string }[] }>(
    "versions",
    "sheet",
    version,
    "--classes",
    label,
  );
  return rows.find((row) => row.rank === rank)!.sha256;
};
const fullClass = async (version: string): Promise<Manifest["classes"][number]> => {
  const { classes } = await json<Manifest>("versions", "show", version);
  return classes.find(({ count, k }) => count === k)!;
};

test("a diff says why each row came and went, and writes it as one page", async () => {
  const { label } = await fullClass("1");
  const [retracted, erased] = [await digestAt("1", label, 1), await digestAt("1", label, 2)];
  assert.equal((await sluice("label", "not", label, retracted)).code, 0);
  assert.equal((await sluice("rebuild")).code, 0);
  const said = await json<Diff>("versions", "diff", "1", "latest");
  const one = said.classes.find((each) => each.label === label)!;
  assert.deepEqual(one.reasons.left, [{ reason: "label", count: 1 }]);
  assert.equal(one.removed, 1);
  // The image that comes in its place was seen before.
  assert.deepEqual(
    one.reasons.entered.map(({ reason }) => reason),
    one.added === 0 ? [] : ["room"],
  );

  await writePictures(join(place.path, "more"), { images: 30 }, 77);
  assert.equal((await sluice("ingest", "more")).code, 0);
  const grown = await json<Diff>("versions", "diff", "2", "latest");
  const entered = grown.classes.flatMap(({ reasons }) => reasons.entered);
  assert.ok(entered.length > 0);
  assert.ok(entered.every(({ reason }) => reason === "new"));
  assert.ok(grown.classes.flatMap(({ reasons }) => reasons.left).every(({ reason }) => reason === "pushed-out"));

  assert.equal((await sluice("erase", erased, "--yes")).code, 0);
  assert.equal((await sluice("rebuild", "--set", "datasets.0.select.k=2")).code, 0);
  const smaller = await json<Diff>("versions", "diff", "3", "latest");
  const left = new Set(smaller.classes.flatMap(({ reasons }) => reasons.left.map(({ reason }) => reason)));
  assert.ok(left.has("parameters"));

  const { code, out } = await sluice("versions", "diff", "1", "3", "--html", "diff.html");
  assert.equal(code, 0);
  assert.match(out, /^entered: new images \d+/m);
  const page = await readFile(join(place.path, "diff.html"), "utf8");
  assert.match(page, /<img alt="[0-9a-f]{12}" src="data:image\/(png|webp);base64,/);
  assert.doesNotMatch(page, /(src|href)="(?!data:)/);
  assert.doesNotMatch(page, /<script/);
  assert.match(page, /below the cut-off of version 3/);
});

test("explain tells of an image by file, digest and uri the same, before and after compaction", async () => {
  const { label, worst } = await fullClass("latest");
  const names = (await readdir(join(place.path, "pictures"), { recursive: true })).filter((name) =>
    /\.\w+$/.test(name),
  );
  const lives = await Promise.all(
    names.slice(0, 12).map((name) => json<ImageLife>("versions", "explain", join("pictures", name))),
  );
  for (const [at, life] of lives.entries()) {
    const bytes = await readFile(join(place.path, "pictures", names[at]!));
    assert.equal(life.sha256, createHash("sha256").update(bytes).digest("hex"));
    assert.ok(life.sightings.length > 0);
    for (const { rank, probability, cutoff, because } of life.fates) {
      if (rank !== null) assert.match(because, /^rank \d+ of \d+$/);
      else if (because.startsWith("near miss")) assert.ok(cutoff! - probability! <= 0.05 && cutoff! > probability!);
    }
  }
  assert.ok(worst !== null);
  const first = await digestAt("latest", label, 1);
  const { out } = await sluice("versions", "explain", first.slice(0, 12));
  assert.match(out, new RegExp(`^Image ${first}\n  seen      file://`));
  assert.match(out, /rank 1 of \d+/);
  const life = await json<ImageLife>("versions", "explain", first);
  assert.deepEqual(await json<ImageLife>("versions", "explain", life.sightings[0]!.uri), life);
  assert.equal((await sluice("compact")).code, 0);
  assert.deepEqual(await json<ImageLife>("versions", "explain", first), life);
  assert.deepEqual(await json<ImageLife>("versions", "explain", join("pictures", names[0]!)), lives[0]);
  const unknown = await sluice("versions", "explain", "0".repeat(64));
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /nothing of 0{64}/);
  assert.match((await sluice("versions", "explain", "no-such-file")).err, /E_USAGE: Expected an image/);
});

test("a tag means a version wherever one is named, moves, and is dropped", async () => {
  assert.equal((await sluice("versions", "tag", "1", "production")).code, 0);
  assert.equal((await json<Manifest>("versions", "show", "production")).number, 1);
  assert.equal((await json<Manifest>("versions", "show", "flowers/production")).number, 1);
  for (const args of [
    ["versions", "verify", "production"],
    ["reproduce", "production"],
    ["versions", "diff", "production", "latest"],
  ])
    assert.equal((await sluice(...args)).code === 2, false, args.join(" "));
  const moved = await sluice("versions", "tag", "2", "production");
  assert.match(moved.out, /flowers\/production is version 2, and no longer version 1/);
  const { tags } = await json<{ tags: { tag: string; number: number; revision: number }[] }>("versions", "tags");
  assert.deepEqual(
    tags.map(({ tag, number, revision }) => [tag, number, revision]),
    [["production", 2, 2]],
  );
  // Two at once: the highest of the numbered objects stands.
  await Promise.all([sluice("versions", "tag", "1", "race"), sluice("versions", "tag", "2", "race")]);
  assert.ok([1, 2].includes((await json<Manifest>("versions", "show", "race")).number));
  for (const wrong of ["latest", "12", "Production", "a/b", "../a"])
    assert.equal((await sluice("versions", "tag", "1", wrong)).code, 2, wrong);
  assert.equal((await sluice("versions", "tag", "99", "late")).code, 1);
  assert.equal((await sluice("versions", "tag", "1", "production", "--drop")).code, 2);
  assert.equal((await sluice("versions", "tag", "2", "production", "--drop")).code, 0);
  const gone = await sluice("versions", "show", "production");
  assert.match(gone.err, /E_VERSION_MISSING: Expected a tag of dataset "flowers", found "production": it has race/);
});

test("a sheet shows the best, the middle, the cut-off and what the teacher doubted", async () => {
  const { label, count } = await fullClass("latest");
  const { rows } = await json<{ rows: { line: string; rank: number; margin: number }[] }>(
    "versions",
    "sheet",
    "latest",
    "--classes",
    label,
    "--html",
    "sheet.html",
  );
  const ranks = (line: string): number[] => rows.filter((row) => row.line === line).map(({ rank }) => rank);
  assert.equal(ranks("best")[0], 1);
  assert.equal(ranks("at the cut-off")[0], count);
  const margins = rows.filter(({ line }) => line === "most doubtful").map(({ margin }) => margin);
  assert.deepEqual(
    margins,
    [...margins].sort((a, b) => a - b),
  );
  assert.match(await readFile(join(place.path, "sheet.html"), "utf8"), /data:image/);
  assert.equal((await sluice("versions", "sheet", "latest", "--classes", "no class")).code, 2);
  assert.equal((await sluice("versions", "sheet", "latest", "--html", "no/such/folder/x.html")).code, 2);
});
