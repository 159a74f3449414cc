import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { openUri } from "../../../connectors/source/open-uri.js";
import type { AskedImage } from "../../../connectors/source/source.js";
import { openTarSource } from "../../../connectors/source/tar/tar.js";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { itemsOf } from "../../conformance/source.js";
import { countReads } from "../../fixtures/counted-reads.js";
import { tarOf, type MemberToWrite } from "../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MEMBER_BYTES = 3000;

function membersOf(shard: string, count: number): MemberToWrite[] {
  const random = new SeededRandom(shard.length);
  return Array.from({ length: count }, (_, at) => ({
    name: `${at % 5 === 0 ? "long/".repeat(30) : ""}${shard}-${at}.jpg`,
    content: Uint8Array.from({ length: MEMBER_BYTES + at }, () => random.below(256)),
  }));
}

function shuffled<T>(items: readonly T[]): T[] {
  const random = new SeededRandom(3);
  return items
    .map((item) => ({ item, key: random.below(2 ** 31) }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

const shown = (image: Uint8Array | { code: string }): string =>
  image instanceof Uint8Array ? Buffer.from(image).toString("latin1") : image.code;

/** What each is opened to: its bytes, or the code of what is wrong with it. */
async function openedOf(asked: readonly AskedImage[]): Promise<readonly string[]> {
  const found = new Array<string>(asked.length);
  for await (const { at, image } of openUri().openMany(asked)) {
    assert.equal(found[at], undefined, "each comes once");
    found[at] = shown(image);
  }
  return found;
}

async function oneByOne(asked: readonly AskedImage[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { uri, sizeBytes } of asked) {
    try {
      found.push(shown(await openUri().open(uri, sizeBytes)));
    } catch (error) {
      assert.ok(isSluiceError(error));
      found.push(error.code);
    }
  }
  return found;
}

test("many are opened as each is by itself, whatever their order, and whatever has become of their shards", async (t) => {
  const folder = await temporaryFolder(t);
  const asked: AskedImage[] = [];
  for (const name of ["plain", "packed", "moved", "packed-moved", "broken", "packed-broken", "gone"]) {
    const members = [
      ...membersOf(name, 12),
      { name: "again.png", content: "first" },
      { name: "again.png", content: "second" },
    ];
    const isPacked = name.startsWith("packed");
    const pack = (tar: Buffer): Buffer => (isPacked ? gzipSync(tar) : tar);
    const shard = join(folder, `${name}.tar`);
    await writeFile(shard, pack(await tarOf(members)));
    for (const { record } of await itemsOf(await openTarSource([shard])))
      asked.push({ uri: record.uri, sizeBytes: record.bytes!.length });
    // As others write them, and places where nothing is.
    asked.push({ uri: `tar:${shard}#${name}-3.jpg`, sizeBytes: 4000 });
    asked.push({ uri: `tar:${shard}#${name}-3.jpg`, sizeBytes: 10 });
    asked.push({ uri: `tar:${shard}?at=512#${name}-4.jpg`, sizeBytes: 4000 });
    asked.push({ uri: `tar:${shard}?at=512#none.jpg`, sizeBytes: 4000 });
    asked.push({ uri: `tar:${shard}#`, sizeBytes: 4000 });
    if (name.endsWith("moved")) await writeFile(shard, pack(await tarOf([{ name: "0", content: "new" }, ...members])));
    if (name.endsWith("broken")) await writeFile(shard, pack(await tarOf(members)).subarray(0, 20_000));
    if (name === "gone") await rm(shard);
  }
  await writeFile(join(folder, "a b.jpg"), "a file");
  for (const sizeBytes of [6, 5]) asked.push({ uri: pathToFileURL(join(folder, "a b.jpg")).href, sizeBytes });
  asked.push({ uri: `file://${folder}/none.jpg`, sizeBytes: 5 }, { uri: "log://images/0/1", sizeBytes: 5 });
  const mixed = shuffled([...asked, ...asked.slice(0, 20)]);
  const expected = await oneByOne(mixed);
  assert.deepEqual(await openedOf(mixed), expected);
  const codes = expected.filter((each) => each.startsWith("E_IMAGE_"));
  assert.deepEqual([...new Set(codes)].sort(), ["E_IMAGE_SIZE", "E_IMAGE_UNREADABLE", "E_IMAGE_VANISHED"]);
  assert.ok(expected.length - codes.length > 90, `${expected.length - codes.length} images`);
});

test("of a packed shard one pass is read, up to the last that is needed, and of another one the needed bytes", async (t) => {
  const folder = await temporaryFolder(t);
  const asked: AskedImage[] = [];
  const sizes = new Map<string, number>();
  for (let number = 0; number < 12; number++) {
    const isPacked = number % 2 === 1;
    const shard = join(folder, `${number}.tar`);
    const tar = await tarOf(membersOf(`s${number}`, 60));
    const bytes = isPacked ? gzipSync(tar) : tar;
    await writeFile(shard, bytes);
    sizes.set(shard, bytes.length);
    const items = await itemsOf(await openTarSource([shard]));
    for (const { record } of items.slice(0, 30)) asked.push({ uri: record.uri, sizeBytes: record.bytes!.length });
  }
  const counts = countReads(t);
  assert.equal((await openedOf(shuffled(asked))).filter((each) => each.startsWith("E_")).length, 0);
  for (const [shard, sizeBytes] of sizes) {
    const needed = asked
      .filter(({ uri }) => uri.startsWith(`tar:${shard}?`) || uri.startsWith(`tar:${shard}#`))
      .reduce((sum, image) => sum + image.sizeBytes + 512, 8);
    const isPacked = /[13579]\.tar$/.test(shard);
    const read = counts.get(shard)!;
    if (isPacked) assert.ok(read <= sizeBytes / 2 + 64 * 1024, `${read} of ${sizeBytes} bytes`);
    else assert.equal(read, needed);
  }
});

test("who stops in the middle leaves no shard open", async (t) => {
  const folder = await temporaryFolder(t);
  const shard = join(folder, "a.tar.gz");
  await writeFile(shard, gzipSync(await tarOf(membersOf("a", 20))));
  const items = await itemsOf(await openTarSource([shard]));
  const asked = items.map(({ record }) => ({ uri: record.uri, sizeBytes: record.bytes!.length }));
  let taken = 0;
  for await (const { image } of openUri().openMany(asked)) {
    assert.ok(image instanceof Uint8Array);
    if (++taken === 3) break;
  }
  assert.equal(taken, 3);
  assert.equal((await openedOf(asked)).length, 20);
});
