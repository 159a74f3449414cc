import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { IndexGroups } from "../../pipelines/versions/index-groups.js";
import { readSamples } from "../../pipelines/versions/shard-reader.js";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { writePictures } from "../fixtures/pictures.js";

let place: CommandFolder;
let manifest: Manifest;
let index = "";
let image = "";
let label = "";

/** Two versions over the same images; the second one's index is damaged in each test. */
before(async () => {
  place = await CommandFolder.make({ images: 30, datasets: "[{ name: few, select: { k: 4, p: 1 } }]" });
  await place.ingest();
  assert.equal((await place.sluice("rebuild", "--set", "datasets.0.select.k=3")).code, 0);
  manifest = await place.json<Manifest>("versions", "show", "2");
  index = manifest.files.find(({ key }) => key.endsWith(".parquet"))!.key;
  label = manifest.classes.find(({ count }) => count > 0)!.label;
  const sheet = ["versions", "sheet", "2", "--classes", label];
  image = (await place.json<{ rows: { sha256: string }[] }>(...sheet)).rows[0]!.sha256;
  for (const class_ of manifest.classes.slice(0, 2))
    for (const [at, folder] of ["labelled", "test"].entries())
      await writePictures(join(place.path, folder), { images: 3 }, 5 + at, (name) => `${class_.label}/${name}`);
});

after(() => place.remove());

/** Does something while one bit of an object is another. */
async function damaged(key: string, at: number, act: () => Promise<void>): Promise<void> {
  const path = place.stored(key);
  const whole = await readFile(path);
  const bytes = Buffer.from(whole);
  bytes[at < 0 ? bytes.length + at : at]! ^= 64;
  await writeFile(path, bytes);
  try {
    await act();
  } finally {
    await writeFile(path, whole);
  }
}

/** Every command that reads a version's index */
const readers = (): string[][] => [
  ["versions", "diff", "1", "2"],
  ["versions", "diff", "2", "1", "--html", "diff.html"],
  ["versions", "sheet", "2", "--classes", label],
  ["versions", "explain", image],
  ["versions", "explain", image.slice(0, 10)],
  ["versions", "export", "2", "--as", "csv", "--to", "csv"],
  ["versions", "export", "2", "--as", "hf", "--to", "hf"],
  ["audit", "2"],
  ["label", "not", label, image.slice(0, 10)],
  ["label", "not", label, "--rows", `${label}:1`, "--of", "2"],
  ["whatif"],
  ["gc", "--set", "bytes=keep"],
  ["erase", image],
  ["train", "student", "labelled", "--on", "2", "--test", "test", "--out", "student"],
  ["versions", "verify", "2"],
];

// The first page's header, a page of digests, the footer and its length: a decoder goes on for ever at some of them, and is content with others.
for (const at of [6, 400, -40]) {
  test(`with one other bit at ${at} of a version's index, every command that reads it names the object and what to do`, async () => {
    await damaged(index, at, async () => {
      for (const args of readers()) {
        const { code, out, err } = await place.sluice(...args);
        const said = `${args.join(" ")}: ${code} ${out}${err}`;
        assert.notEqual(code, 0, said);
        assert.ok(`${out}${err}`.includes(index), said);
        if (args[1] === "verify") continue;
        assert.match(said, /Restore the object from a copy/);
      }
      const store = await openFilesystemStore(place.stored());
      const rows = new IndexGroups(store).rowsOf(manifest, 0, 0, 3);
      await assert.rejects(rows, { code: "E_VERSION_CORRUPT" }, "what the console reads rows by");
      await store.close();
    });
  });
}

test("the hints are commands", async () => {
  await damaged(index, 400, async () => {
    const { err } = await place.sluice("versions", "diff", "1", "2");
    const hints = [...err.matchAll(/`sluice ([^`]+)`/g)].map(([, hint]) => hint!);
    assert.deepEqual(hints, ["versions verify few/2", "reproduce few/2"]);
    assert.match((await place.sluice(...hints[0]!.split(" "))).out, /SHA-256/);
    const again = await place.sluice(...hints[1]!.split(" "));
    assert.equal(again.code, 0, again.out + again.err);
  });
  assert.equal((await place.sluice("versions", "diff", "1", "2")).code, 0);
});

test("a version's other files are looked at in the same way", async () => {
  const shards = manifest.files.filter(({ key }) => key.endsWith(".tar"));
  const contents = await Promise.all(shards.map(({ key }) => readFile(place.stored(key), "latin1")));
  const shard = shards[contents.findIndex((content) => content.includes(image))]!;
  const store = await openFilesystemStore(place.stored());
  await damaged(shard.key, 512 * 3, async () => {
    await assert.rejects(
      async () => {
        for await (const sample of readSamples(store, manifest)) assert.ok(sample.bytes.length > 0);
      },
      { code: "E_VERSION_CORRUPT" },
    );
    const erased = await place.sluice("erase", image, "--yes");
    assert.notEqual(erased.code, 0, erased.out);
    assert.ok(erased.out.includes(shard.key), erased.out);
  });
  await store.close();
  assert.equal((await place.sluice("erase")).code, 0);
  assert.equal((await place.sluice("erase", "--yes")).code, 0);
  assert.equal((await place.sluice("versions", "verify", "2")).code, 0);
});
