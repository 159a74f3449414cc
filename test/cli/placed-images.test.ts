import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Audited } from "../../pipelines/audit.js";
import type { ImageLife } from "../../schemas/api/images.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { readIndex, readManifest, readSamples } from "../../pipelines/versions/versions.js";
import { collect } from "../fixtures/publishing.js";
import { CommandFolder, type Published, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;
/** A class that is full, and an image of another one: with P = 1 it stands in that alone */
let image: IndexRow;
let other: string;
let first: Published;

before(async () => {
  place = await CommandFolder.make({
    images: 40,
    datasets: "[{ name: flowers, select: { k: 5, p: 1 }, reserve: 1 }]",
  });
  [first] = (await place.json<{ published: [Published] }>("ingest", "pictures")).published;
  const { classes } = await place.json<Manifest>("versions", "show", "1");
  other = classes.find(({ count }) => count === 5)!.label;
  image = (await rowsOf(1)).find(({ label }) => label !== other)!;
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const rebuild = (): Promise<Published> => place.json<Published>("rebuild");

async function inVersion<T>(
  number: number,
  read: (...of: Parameters<typeof readIndex>) => AsyncIterable<T>,
): Promise<T[]> {
  const store = await openFilesystemStore(place.stored());
  try {
    return await collect(read(store, await readManifest(store, "flowers", number)));
  } finally {
    await store.close();
  }
}

const rowsOf = (number: number): Promise<IndexRow[]> => inVersion(number, readIndex);

test("an image that a person says is of another class stands first there, within K, and nowhere else", async () => {
  assert.equal((await sluice("label", "is", other, image.sha256)).code, 0);
  const { number, id } = await rebuild();
  assert.notEqual(id, first.id);
  const rows = await rowsOf(number);
  const [own, ...more] = rows.filter(({ sha256 }) => sha256 === image.sha256);
  assert.deepEqual([own!.label, own!.rank, own!.by, more.length], [other, 1, "label", 0]);
  // Few classes: the teacher's scores of all of them are archived.
  assert.ok(own!.key !== null && own!.key < rows.find(({ label, rank }) => label === other && rank === 5)!.key!);
  const before = (await rowsOf(1)).filter(({ label }) => label === other);
  const behind = rows.filter(({ label, by }) => label === other && by === "teacher");
  assert.deepEqual(
    behind.map(({ sha256 }) => sha256),
    before.slice(0, 4).map(({ sha256 }) => sha256),
  );
  const samples = await inVersion(number, readSamples);
  assert.deepEqual(
    samples.filter(({ sha256 }) => sha256 === image.sha256).map(({ about }) => [about.label, about.by]),
    [[other, "label"]],
  );
});

test("that version verifies, reproduces, and is the same once more; its manifest counts the row", async () => {
  for (const command of ["verify", "reproduce"] as const)
    assert.equal((await sluice(...(command === "verify" ? ["versions"] : []), command, "2")).code, 0, command);
  assert.equal((await rebuild()).number, 2);
  const { classes } = await place.json<Manifest>("versions", "show", "2");
  const one = classes.find(({ label }) => label === other)!;
  assert.deepEqual([one.count, one.labelled], [5, 1]);
  const teachers = (await rowsOf(2)).filter(({ label, by }) => label === other && by === "teacher");
  assert.deepEqual([one.best, one.worst], [teachers[0]!.probability, teachers.at(-1)!.probability]);
});

test("explain and diff say that somebody said so; no audit draws the row", async () => {
  const { fates } = await place.json<ImageLife>("versions", "explain", image.sha256);
  const because = fates.find(({ number, label }) => number === 2 && label === other)!.because;
  assert.match(because, /^rank 1 of 5, because somebody said/);
  const diff = await sluice("versions", "diff", "1", "2");
  assert.match(diff.out, /label/);
  for (const how of [
    ["--per-class", "10"],
    ["--rows", "1000"],
  ]) {
    const { rows } = await place.json<Audited>("audit", "2", ...how);
    assert.equal(rows.length, (await rowsOf(2)).length - 1, how.join(" "));
    assert.ok(rows.every(({ sha256 }) => sha256 !== image.sha256));
  }
});

test("a dataset that says labels: retract only takes it out; withdrawn, the first version's id stands again", async () => {
  assert.equal((await sluice("datasets", "set", "flowers", "labels=retract")).code, 0);
  const { number } = await rebuild();
  const rows = await rowsOf(number);
  assert.ok(rows.every(({ sha256, by }) => sha256 !== image.sha256 && by === "teacher"));
  assert.equal((await sluice("versions", "verify", String(number))).code, 0);
  assert.equal((await sluice("reproduce", String(number))).code, 0);
  assert.equal((await sluice("datasets", "set", "flowers", "labels=")).code, 0);
  assert.equal((await sluice("label", "withdraw", image.sha256)).code, 0);
  assert.equal((await rebuild()).id, first.id);
  // The selection's label map goes by the same name: the value tells.
  const mapped = await sluice("datasets", "set", "flowers", `labels={ one: ["${image.label}"] }`, "--dry-run");
  assert.match(mapped.out, /select\.labels|labels .*one/);
});

test("a label of an image that nobody has seen waits, and changes no version", async () => {
  const unseen = "ab".repeat(32);
  const said = { sha256: unseen, verdict: "is", class: other };
  await writeFile(join(place.path, "said.jsonl"), `${JSON.stringify(said)}\n`);
  assert.equal((await sluice("label", "import", "said.jsonl")).code, 0);
  assert.match((await sluice("label", "list", "--waiting")).out, new RegExp(unseen.slice(0, 12)));
  assert.equal((await rebuild()).id, first.id);
});
