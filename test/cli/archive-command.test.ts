import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { CommandFolder, type Ran } from "../fixtures/command-folder.js";

let place: CommandFolder;

before(async () => {
  place = await CommandFolder.make({
    images: 30,
    duplicates: 2,
    broken: 1,
    datasets: "[{ name: flowers, select: { k: 20, p: 3 } }, { name: few, select: { k: 2, p: 1 } }]",
  });
  assert.equal((await sluice(["ingest", "pictures"])).code, 0);
});

after(() => place.remove());

const sluice = (args: readonly string[]): Promise<Ran> => place.sluice(...args);

async function objects(prefix: string, ending: string): Promise<string[]> {
  const names = await readdir(place.stored(prefix), { recursive: true });
  return names.filter((name) => name.endsWith(ending)).map((name) => place.stored(prefix, name));
}

/** Runs `work` while one bit of a file is another. */
async function flipped(path: string, work: () => Promise<void>): Promise<void> {
  const whole = await readFile(path);
  const bytes = Buffer.from(whole);
  bytes[Math.floor(bytes.length / 2)]! ^= 8;
  await writeFile(path, bytes);
  await work();
  await writeFile(path, whole);
}

interface Report {
  readonly ok: boolean;
  readonly rows: number;
  readonly runs: number;
  readonly damaged: readonly {
    readonly code: string;
    readonly key: string;
    readonly range: { readonly start: number; readonly end: number } | null;
    readonly versions: readonly string[];
  }[];
}

test("verify reads all that is archived, and names what is damaged, its offsets and the versions made from it", async () => {
  const { code, out } = await sluice(["archive", "verify"]);
  assert.equal(code, 0, out);
  assert.match(out, /All is as it was written/);
  const [, second] = (await objects("scores", ".arrow")).sort();
  await flipped(second!, async () => {
    const told = await sluice(["archive", "verify", "--json"]);
    assert.equal(told.code, 3);
    const [damage] = (JSON.parse(told.out) as Report).damaged;
    assert.equal(damage?.code, "E_SEGMENT_CORRUPT");
    assert.ok(second!.endsWith(damage.key));
    assert.ok(damage.range !== null && damage.range.end > damage.range.start);
    assert.deepEqual([...damage.versions].sort(), ["few/1", "flowers/1"]);
    const deep = await sluice(["versions", "verify", "latest", "--deep"]);
    assert.notEqual(deep.code, 0);
    assert.ok(deep.err.includes(damage.key), deep.err);
    assert.notEqual((await sluice(["rebuild", "few"])).code, 0);
  });
  for (const [prefix, ending] of [
    ["scores", ".json"],
    ["checkpoints", ".topk"],
    ["versions/few/1", "manifest.json"],
  ] as const) {
    const [object] = await objects(prefix, ending);
    await flipped(object!, async () => {
      const told = await sluice(["archive", "verify", "--json"]);
      assert.equal(told.code, 3, object);
      assert.ok(
        (JSON.parse(told.out) as Report).damaged.some(({ key }) => object!.endsWith(key)),
        told.out,
      );
    });
  }
});

test("a run that is damaged is named, too", async () => {
  assert.equal((await sluice(["compact"])).code, 0);
  const whole = JSON.parse((await sluice(["archive", "verify", "--json"])).out) as Report;
  assert.deepEqual([whole.ok, whole.runs], [true, 1]);
  for (const ending of [".parquet", ".jsonl"]) {
    const [object] = await objects("runs", ending);
    await flipped(object!, async () => {
      const told = await sluice(["archive", "verify", "--json"]);
      assert.equal(told.code, 3);
      const { damaged } = JSON.parse(told.out) as Report;
      assert.ok(
        damaged.some(({ key }) => object!.endsWith(key)),
        told.out,
      );
    });
  }
});

test("one damaged manifest stops nothing but what asks for its version: the others go on, and it is named", async () => {
  const [manifest] = await objects("versions/flowers/1", "manifest.json");
  await flipped(manifest!, async () => {
    const listed = await sluice(["versions", "list"]);
    assert.equal(listed.code, 3);
    assert.match(listed.out, /few/);
    assert.match(listed.out, /versions\/flowers\/1\/manifest\.json/);
    const status = await sluice(["status"]);
    assert.equal(status.code, 0, status.err);
    assert.match(status.out, /damaged .*versions\/flowers\/1\/manifest\.json/);
    const rebuilt = await sluice(["rebuild", "flowers", "--json"]);
    assert.equal(rebuilt.code, 0, rebuilt.err);
    assert.equal((JSON.parse(rebuilt.out) as { number: number }).number, 2);
    assert.match(rebuilt.err, /versions\/flowers\/1\/manifest\.json/);
    assert.notEqual((await sluice(["versions", "show", "flowers/1"])).code, 0);
  });
});
