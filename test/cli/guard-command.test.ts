import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Diff } from "../../schemas/api/versions.js";
import type { ImageLife } from "../../schemas/api/images.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";
import { photograph } from "../fixtures/photograph.js";

const PICTURES = 12;
/** Each picture once more, as a smaller JPEG and mirrored: what the web does to pictures */
const COPIES = 2 * PICTURES;

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({
    images: 0,
    datasets: "[{ name: flowers, select: { k: 8, p: 1, near: { distance: 31, within: version } }, reserve: 1 }]",
  });
  for (const folder of ["pictures", "test"]) await mkdir(join(place.path, folder), { recursive: true });
  for (let number = 0; number < PICTURES; number++) {
    const image = await photograph(number);
    const to = (name: string): string => join(place.path, "pictures", name);
    await image
      .clone()
      .png()
      .toFile(to(`${number}.png`));
    await image
      .clone()
      .resize(120, 90)
      .jpeg({ quality: 80 })
      .toFile(to(`${number}-small.jpg`));
    await image
      .clone()
      .flop()
      .webp({ quality: 80 })
      .toFile(to(`${number}-mirrored.webp`));
    if (number < 4)
      await image
        .clone()
        .resize(200, 150)
        .jpeg()
        .toFile(join(place.path, "test", `${number}.jpg`));
  }
  await writeFile(join(place.path, "test", "notes.jpg"), "no picture");
  assert.equal((await sluice("ingest", "pictures")).code, 0);
});

after(() => place.remove());

const sluice = (...args: string[]): Promise<Ran> => place.sluice(...args);
const json = <T>(...args: string[]): Promise<T> => place.json<T>(...args);
const sum = ({ classes }: Manifest, name: "near" | "guarded"): number =>
  classes.reduce((all, one) => all + (one[name] ?? 0), 0);

test("copies of better images are left out, counted, and listed with their partners", async () => {
  const manifest = await json<Manifest>("versions", "show", "latest");
  assert.ok(sum(manifest, "near") >= COPIES / 2, `${sum(manifest, "near")} of ${COPIES} copies`);
  assert.ok(manifest.totals.rows <= PICTURES + COPIES - sum(manifest, "near"));
  const { key } = manifest.files.find((file) => file.key.endsWith("left-out.jsonl"))!;
  const lines = (await readFile(place.stored(key), "utf8")).trim().split("\n");
  assert.equal(lines.length, sum(manifest, "near"));
  const first = JSON.parse(lines[0]!) as { sha256: string; partner: string; by: string; distance: number };
  assert.equal(first.by, "near");
  assert.ok(first.distance <= 31);
  const { fates } = await json<ImageLife>("versions", "explain", first.sha256);
  assert.ok(fates.some(({ because }) => because.startsWith(`near duplicate of ${first.partner.slice(0, 12)}`)));
  assert.equal((await sluice("versions", "verify", "latest")).code, 0);
  assert.equal((await sluice("reproduce", "latest")).code, 0);
  const all = await json<{ answers: { rows: number }[] }>("whatif", "--k", "8");
  assert.equal(all.answers[0]!.rows, manifest.totals.rows);
});

test("a guarded set's images enter no version, nor does what is like them; a diff says so", async () => {
  const added = await json<{ images: number; refused: Record<string, number> }>("guard", "add", "holdout", "test");
  assert.deepEqual([added.images, added.refused], [4, { E_IMAGE_FORMAT: 1 }]);
  const before = await json<Manifest>("versions", "show", "latest");
  assert.equal((await sluice("rebuild")).code, 0);
  const manifest = await json<Manifest>("versions", "show", "latest");
  assert.notEqual(manifest.id, before.id);
  assert.ok(sum(manifest, "guarded") >= 4);
  assert.deepEqual(manifest.guard?.sets, [{ name: "holdout", images: 4, distance: 31 }]);
  const diff = await json<Diff>("versions", "diff", String(before.number), "latest");
  assert.ok(diff.totals.removed >= 4);
  assert.deepEqual(
    [...new Set(diff.classes.flatMap(({ reasons }) => reasons.left.map(({ reason }) => reason)))],
    ["guard"],
  );
  const { out } = await sluice("versions", "show", "latest");
  assert.match(out, /guard +holdout \(4 images\): \d+ images kept out/);
  assert.match(out, /near +\d+ near duplicates of better images left out/);
  assert.equal((await sluice("versions", "verify", "latest")).code, 0);
  // Both with and without the guard, a version can be made again.
  for (const version of [String(before.number), "latest"]) assert.equal((await sluice("reproduce", version)).code, 0);
  const at = await json<{ id: string }>("rebuild", "--at", String(before.number));
  assert.equal(at.id, before.id);
});

test("a set is dropped by its name; what is no set, or has no picture, is refused", async () => {
  assert.match((await sluice("guard", "list")).out, /^set +images[\s\S]+holdout +4 +31/);
  assert.equal((await sluice("guard", "drop", "other")).code, 2);
  assert.equal((await sluice("guard", "add", "Hold Out", "test")).code, 2);
  assert.equal((await sluice("guard", "add", "holdout", "test", "--distance", "64")).code, 2);
  await mkdir(join(place.path, "empty"));
  await writeFile(join(place.path, "empty", "a.jpg"), "no picture");
  assert.match((await sluice("guard", "add", "none", "empty")).err, /E_SOURCE_EMPTY: .*E_IMAGE_FORMAT 1/);
  assert.equal((await sluice("guard", "drop", "holdout")).code, 0);
  assert.match((await sluice("guard", "list")).out, /Nothing is guarded/);
  // A set that people label is hardly one to be kept out.
  const { rows } = await json<{ rows: { sha256: string; label: string }[] }>("versions", "sheet", "latest");
  const { sha256, label } = rows[0]!;
  assert.equal((await sluice("label", "is", label, sha256)).code, 0);
  const said = await sluice("guard", "add", "labelled", "pictures");
  assert.match(said.err, /1 image of labelled has a label: .*`sluice guard drop labelled`/);
  assert.equal((await sluice("guard", "drop", "labelled")).code, 0);
});
