import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { appendLabels } from "../../operators/archive/image-labels.js";
import { listVersions } from "../../pipelines/versions/versions.js";
import { readIndex } from "../../pipelines/versions/index-reader.js";
import { collect } from "../fixtures/publishing.js";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;

before(async () => {
  // Little is needed of what is kept: the best two of each class, the reserve and a version's rows.
  place = await CommandFolder.make({
    images: 60,
    duplicates: 4,
    broken: 2,
    datasets: "[{ name: flowers, select: { k: 2, p: 1 }, reserve: 0 }]",
  });
  assert.equal((await sluice(["ingest", "pictures", "--set", "bytes=keep"])).code, 0);
  assert.equal((await sluice(["compact"])).code, 0);
});

after(() => place.remove());

const sluice = (args: readonly string[]): Promise<Ran> => place.sluice(...args);

interface Found {
  readonly changed: boolean;
  readonly needed: number;
  readonly packs: { readonly images: number; readonly imageBytes: number; readonly deleted: number };
}

const packFiles = async (): Promise<string[]> =>
  (await readdir(join(place.stored(), "packs"), { recursive: true })).filter((name) => name.endsWith(".pack"));

test("gc says what nobody needs, and changes nothing without --yes", async () => {
  const before = await packFiles();
  const { code, out, err } = await sluice(["gc"]);
  assert.equal(code, 0, err);
  assert.match(
    out,
    /^Would take \d+ images that nobody needs out of packs \([\d.]+ [KM]iB\); their objects go an hour later/,
  );
  assert.match(out, /Nothing was changed; `sluice gc --yes` does it\./);
  assert.deepEqual((await sluice(["gc", "--dry-run", "--yes"])).out, out);
  const found = JSON.parse((await sluice(["gc", "--json"])).out) as Found;
  assert.equal(found.changed, false);
  assert.ok(found.packs.images > 20, `${found.packs.images} images`);
  assert.deepEqual(await packFiles(), before);
});

test("gc --yes does it, and every version can be made again with all of its images", async () => {
  const found = JSON.parse((await sluice(["gc", "--yes", "--json"])).out) as Found;
  assert.equal(found.changed, true);
  const again = JSON.parse((await sluice(["gc", "--yes", "--json"])).out) as Found;
  assert.equal(again.packs.images, 0);
  await rm(join(place.path, "pictures"), { recursive: true });
  assert.equal((await sluice(["reproduce", "latest"])).code, 0);
  const rebuilt = JSON.parse((await sluice(["rebuild", "--set", "datasets.0.select.k=1", "--json"])).out) as {
    readonly rows: number;
    readonly bytesAbsent: number;
  };
  assert.ok(rebuilt.rows > 0);
  assert.equal(rebuilt.bytesAbsent, 0);
  assert.equal((await sluice(["archive", "verify"])).code, 0);
});

test("gc says that an erasure did not come to its end, brings nothing of it back, and names the command that goes on", async () => {
  const store = await openFilesystemStore(place.stored());
  const [newest] = await collect(listVersions(store, "flowers", () => undefined));
  const { sha256 } = (await collect(readIndex(store, newest!)))[0]!;
  // As one that was killed once it was recorded leaves it
  await appendLabels(store, "images", [{ verdict: "erased", sha256, timeMs: 0, by: null }]);
  await store.close();
  const { out } = await sluice(["gc"]);
  assert.match(out, /1 image that was erased lies in packs still: .* `sluice erase --yes` goes on with it\./);
  assert.equal((await sluice(["erase", "--yes"])).code, 0);
  assert.doesNotMatch((await sluice(["gc"])).out, /erased/);
});
