import assert from "node:assert/strict";
import { mkdtemp, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { openUri } from "../../../../connectors/source/open-uri.js";
import type { SourceItem } from "../../../../connectors/source/source.js";
import { openTarSource, type TarSourceOptions } from "../../../../connectors/source/tar/tar.js";
import { isSluiceError } from "../../../../schemas/errors.js";
import { contentOf, itemsOf, sourceConformance } from "../../../conformance/source.js";
import { tarOf, type MemberToWrite } from "../../../fixtures/tar-archive.js";

const temporary: string[] = [];
after(async () => {
  for (const folder of temporary) await rm(folder, { recursive: true, force: true });
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-tar-"));
  temporary.push(folder);
  return folder;
}

const images = (shard: string, count: number): readonly MemberToWrite[] =>
  Array.from({ length: count }, (_, at) => [
    { name: `${shard}/${at}.cls`, content: "7" },
    { name: `${shard}/${at}.jpg`, content: `${shard} ${at}` },
  ]).flat();

const opener = openUri();
const contentsOf = (items: readonly SourceItem[]): Promise<readonly string[]> =>
  Promise.all(items.map((item) => contentOf(item, opener)));

async function shardsOf(shards: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(shards)) await writeFile(join(folder, name), bytes);
  return folder;
}

const make = async (options: TarSourceOptions = {}) => {
  const folder = await shardsOf({
    "b.tar.gz": gzipSync(await tarOf(images("b", 2))),
    "a.tar": await tarOf([...images("a", 3), { name: `${"long/".repeat(40)}é.png`, content: "long" }]),
    "c.tar": await tarOf([]),
    "d.tar": await tarOf(images("d", 2)),
  });
  const expected = ["a 0", "a 1", "a 2", "long", "b 0", "b 1", "d 0", "d 1"];
  return { open: () => openTarSource([join(folder, "*.tar*")], options), expected, opener };
};
sourceConformance("tar", () => make());
sourceConformance("tar, remembering what it has taken", async () => make({ listings: await temporaryFolder() }));

describe("tar source", () => {
  test("gives images inline, with the rights of their sidecar and their own time", async () => {
    const folder = await shardsOf({
      "a.tar": await tarOf([
        { name: "./k/1.jpg", content: "one", mtimeMs: 1_500_000_000_000 },
        { name: "./k/1.json", content: JSON.stringify({ license: "CC0", url: "https://example.org/1" }) },
        { name: "./k/1.txt", content: "a caption" },
        { name: "./k/2.json", content: JSON.stringify({ licence: "MIT", origin: "camera 2", license: "no" }) },
        { name: "./k/2.png", content: "two" },
        { name: "./k/3.json", content: "{ broken" },
        { name: "./k/3.left.webp", content: "three" },
        { name: "./k/3.right.webp", content: "four" },
        { name: "./k/._3.jpg", content: "what a Mac leaves" },
        { name: "4", content: "five" },
      ]),
    });
    await utimes(join(folder, "a.tar"), 1_400_000_000, 1_400_000_000);
    const records = (await itemsOf(await openTarSource([join(folder, "a.tar")]))).map(({ record }) => record);
    const uri = (at: number): string => `tar:${folder}/a.tar?at=${at}#`;
    // Each member is a header of 512 bytes and its content, filled up to as many.
    const at = (member: number): number => 512 + 1024 * member;
    const none = { licence: null, origin: null, retryOf: null };
    const shardTimeMs = 1_400_000_000_000;
    assert.deepEqual(records, [
      {
        uri: `${uri(at(0))}./k/1.jpg`,
        bytes: Buffer.from("one"),
        eventTimeMs: 1_500_000_000_000,
        licence: "CC0",
        origin: "https://example.org/1",
        retryOf: null,
      },
      {
        uri: `${uri(at(4))}./k/2.png`,
        bytes: Buffer.from("two"),
        eventTimeMs: shardTimeMs,
        licence: "MIT",
        origin: "camera 2",
        retryOf: null,
      },
      { uri: `${uri(at(6))}./k/3.left.webp`, bytes: Buffer.from("three"), eventTimeMs: shardTimeMs, ...none },
      { uri: `${uri(at(7))}./k/3.right.webp`, bytes: Buffer.from("four"), eventTimeMs: shardTimeMs, ...none },
      { uri: `${uri(at(9))}4`, bytes: Buffer.from("five"), eventTimeMs: shardTimeMs, ...none },
    ]);
  });

  test("takes paths, globs and WebDataset ranges, each shard once", async () => {
    const shard = async (name: string): Promise<Buffer> => tarOf([{ name: "1.jpg", content: name }]);
    const folder = await shardsOf({
      "t-08.tar": await shard("8"),
      "t-09.tar": await shard("9"),
      "t-10.tar": await shard("10"),
      "v.tar": await shard("v"),
    });
    const found = async (...shards: string[]): Promise<readonly string[]> =>
      contentsOf(await itemsOf(await openTarSource(shards.map((name) => join(folder, name)))));
    assert.deepEqual(await found("t-{08..10}.tar"), ["8", "9", "10"]);
    assert.deepEqual(await found("t-*.tar", "v.tar", "t-09.tar"), ["8", "9", "10", "v"]);
    assert.deepEqual(await found("{t-1*,v}.tar"), ["10", "v"]);
    await writeFile(join(folder, "photo.jpg"), "a photograph");
    await assert.rejects(openTarSource([join(folder, "photo.jpg")]), { code: "E_SOURCE_READ" });
    for (const missing of ["t-{09..11}.tar", "none.tar", "x*.tar"]) {
      await assert.rejects(openTarSource([join(folder, missing)]), { code: "E_SOURCE_MISSING" }, missing);
    }
  });

  test("takes only members that an include glob matches", async () => {
    const folder = await shardsOf({
      "a.tar": await tarOf(["1.jpg", "1.seg.png", "2.txt"].map((name) => ({ name, content: name }))),
    });
    const source = await openTarSource([join(folder, "a.tar")], { include: ["*.jpg", "*.txt"] });
    assert.deepEqual(await contentsOf(await itemsOf(source)), ["1.jpg", "2.txt"]);
  });

  test("takes a member over the limit by reference, for opening to refuse", async () => {
    const folder = await shardsOf({
      "a.tar": await tarOf([
        { name: "1.jpg", content: new Uint8Array(2000) },
        { name: "2.jpg", content: "small" },
      ]),
    });
    const items = await itemsOf(await openTarSource([join(folder, "a.tar")], { maxBytes: 1000 }));
    assert.deepEqual(
      items.map(({ record }) => record.bytes?.length ?? null),
      [null, 5],
    );
    await assert.rejects(opener.open(items[0]!.record.uri, 1000), { code: "E_IMAGE_SIZE" });
  });

  test("a broken shard gives its whole members and says where it breaks; the others go on", async () => {
    const whole = await tarOf(images("a", 4));
    const second = whole.indexOf("a/2.jpg");
    const broken: Readonly<Record<string, Buffer>> = {
      "within a member": whole.subarray(0, second + 512 + 2),
      "within a header": whole.subarray(0, second + 100),
      "between members": whole.subarray(0, second),
      compressed: gzipSync(whole).subarray(0, -12),
    };
    for (const [where, bytes] of Object.entries(broken)) {
      const folder = await shardsOf({ "a.tar": bytes, "b.tar": await tarOf(images("b", 1)) });
      const open = () => openTarSource([join(folder, "*.tar")]);
      const items = await itemsOf(await open());
      const uris = items.map(({ record }) => record.uri.slice(`tar:${folder}/`.length).replace(/\?at=\d+#/, "#"));
      if (where === "compressed") assert.equal(uris.at(-2), "a.tar#", where);
      else assert.deepEqual(uris, ["a.tar#a/0.jpg", "a.tar#a/1.jpg", "a.tar#", "b.tar#b/0.jpg"], where);
      await assert.rejects(opener.open(`tar:${folder}/a.tar#`, 1000), (error) => {
        assert.ok(isSluiceError(error, "E_IMAGE_UNREADABLE"));
        assert.match(error.message, /found it broken after "a\/\d\.(cls|jpg)", which ends at byte \d+/);
        return true;
      });
      const after = await itemsOf(await open(), items.at(-2)!.cursor);
      assert.deepEqual(
        after.map(({ record }) => record.uri),
        [`tar:${folder}/b.tar?at=1536#b/0.jpg`],
      );
    }
  });

  test("what is no tar at all is one item that cannot be read", async () => {
    const folder = await shardsOf({ "a.tar": Buffer.from("no tar ".repeat(200)), "empty.tar": Buffer.alloc(0) });
    for (const { record } of await itemsOf(await openTarSource([join(folder, "*.tar")]))) {
      assert.equal(record.bytes, null);
      await assert.rejects(opener.open(record.uri, 1000), { code: "E_IMAGE_UNREADABLE" });
    }
  });

  test("remembers shards: new ones and mended ones are taken, the others are not taken again", async () => {
    const folder = await shardsOf({ "b.tar": await tarOf(images("b", 2)) });
    const listings = await temporaryFolder();
    const open = () => openTarSource([join(folder, "*.tar")], { listings });
    const first = await itemsOf(await open());
    assert.deepEqual(await contentsOf(first), ["b 0", "b 1"]);
    await writeFile(join(folder, "a.tar"), (await tarOf(images("a", 3))).subarray(0, 512 * 6));
    const second = await itemsOf(await open(), first.at(-1)!.cursor);
    const uris = second.map(({ record }) => record.uri.slice(`tar:${folder}/`.length));
    assert.deepEqual(uris, ["a.tar?at=1536#a/0.jpg", "a.tar#"]);
    assert.equal((await itemsOf(await open(), second.at(-1)!.cursor)).length, 0);
    await writeFile(join(folder, "a.tar"), await tarOf(images("a", 3)));
    const third = await itemsOf(await open(), second.at(-1)!.cursor);
    assert.deepEqual(await contentsOf(third), ["a 0", "a 1", "a 2"]);
    // Cut off within a shard: the run that resumes gives the rest of it, and no other shard again.
    assert.deepEqual(await contentsOf(await itemsOf(await open(), third[0]!.cursor)), ["a 1", "a 2"]);
  });

  test("members are found by their uri however often shards change", async () => {
    const folder = await shardsOf({ "a.tar": await tarOf(images("a", 2)) });
    const uri = `tar:${folder}/a.tar#a/1.jpg`;
    const placed = `tar:${folder}/a.tar?at=3584#a/1.jpg`;
    for (const each of [uri, placed]) assert.equal(Buffer.from(await opener.open(each, 1000)).toString(), "a 1");
    await writeFile(
      join(folder, "a.tar"),
      await tarOf([{ name: "a/0.jpg", content: "x".repeat(3000) }, ...images("a", 2).slice(2)]),
    );
    for (const each of [uri, placed]) assert.equal(Buffer.from(await opener.open(each, 1000)).toString(), "a 1");
    await writeFile(join(folder, "a.tar"), await tarOf(images("a", 1)));
    await assert.rejects(opener.open(uri, 1000), { code: "E_IMAGE_VANISHED" });
    await truncate(join(folder, "a.tar"), 700);
    await assert.rejects(opener.open(uri, 1000), { code: "E_IMAGE_UNREADABLE" });
    await rm(join(folder, "a.tar"));
    await assert.rejects(opener.open(uri, 1000), { code: "E_IMAGE_VANISHED" });
  });
});
