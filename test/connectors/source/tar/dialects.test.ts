import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { openUri } from "../../../../connectors/source/open-uri.js";
import { parseMemberUri } from "../../../../connectors/source/tar/member-uri.js";
import { openTarSource } from "../../../../connectors/source/tar/tar.js";
import { ROOT } from "../../../architecture/repository.js";
import { assertAddsUp, itemsOf } from "../../../conformance/source.js";
import { tarOf } from "../../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const TARS = join(ROOT, "test", "fixtures", "tars");

interface PythonMember {
  /** A character a byte */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly mtimeMs: number;
}

const expected = JSON.parse(readFileSync(join(TARS, "expected.json"), "utf8")) as Record<string, PythonMember[]>;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

for (const [name, members] of Object.entries(expected)) {
  test(`of ${name}.tar every member that Python's tarfile reads is an image of its own bytes`, async (t) => {
    const folder = await temporaryFolder(t);
    const packed = await readFile(join(TARS, `${name}.tar.gz`));
    await writeFile(join(folder, "packed.tar"), packed);
    await writeFile(join(folder, "plain.tar"), gunzipSync(packed));
    for (const shard of ["packed.tar", "plain.tar"]) {
      const source = await openTarSource([join(folder, shard)]);
      const items = await itemsOf(source);
      assertAddsUp(source.account(), { taken: members.length, known: 0 });
      const found = await Promise.all(
        items.map(async ({ record }) => {
          // Inline or not: the uri alone leads to the same bytes.
          const opened = await openUri().open(record.uri, 10_000_000);
          assert.equal(sha256(record.bytes ?? opened), sha256(opened), record.uri);
          return {
            name: parseMemberUri(record.uri)!.place.name,
            sizeBytes: opened.length,
            sha256: sha256(opened),
            mtimeMs: record.eventTimeMs,
          };
        }),
      );
      assert.deepEqual(found, members, shard);
      const asked = items.map(({ record }, at) => ({ uri: record.uri, sizeBytes: found[at]!.sizeBytes })).reverse();
      for await (const { at, image } of openUri().openMany(asked)) {
        assert.ok(image instanceof Uint8Array, asked[at]!.uri);
        assert.equal(sha256(image), found[found.length - 1 - at]!.sha256, asked[at]!.uri);
      }
      assert.equal(new Set(items.map(({ record }) => record.uri)).size, items.length, "each has a uri of its own");
    }
  });
}

/** One block as a writer makes it. */
function header(name: string, type: string, linkName: string, sizeBytes = 0): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, "latin1");
  block.write("0000644\0", 100);
  block.write(sizeBytes.toString(8).padStart(11, "0"), 124);
  block.write("14512345670", 136);
  block.write(type, 156);
  block.write(linkName, 157, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write(" ".repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

const content = (text: string): Buffer => Buffer.concat([Buffer.from(text)], 512);
const END = Buffer.alloc(1024);

test("links lead to files of their shard, as unpacking it would have them, or stand in the quarantine", async (t) => {
  const folder = await temporaryFolder(t);
  const shard = join(folder, "a.tar");
  const blocks = [
    header("a/x.png", "0", "", 3),
    content("old"),
    header("hard.png", "1", "./a/x.png"),
    // Some writers state the size of what a hard link leads to, and store nothing.
    header("sized.png", "1", "a/x.png", 3),
    header("a/x.png", "0", "", 3),
    content("new"),
    header("a/soft.png", "2", "x.png"),
    header("b/c/up.png", "2", "../../a//soft.png"),
    header("before.png", "2", "after.png"),
    header("after.png", "0", "", 5),
    content("after"),
    header("out.png", "2", "../../etc/passwd"),
    header("root.png", "2", "/etc/passwd"),
    header("round.png", "2", "turn.png"),
    header("turn.png", "2", "round.png"),
    header("none.png", "1", "none.png"),
    header("folder.png", "2", "a"),
    header("a", "5", ""),
    header("pipe.png", "6", ""),
    END,
  ];
  await writeFile(shard, Buffer.concat(blocks));
  const source = await openTarSource([shard]);
  const opener = openUri();
  const found: Record<string, string> = {};
  for (const { record } of await itemsOf(source)) {
    const [, offset = "", name = ""] = /\?at=(\d+)#(.*)$/.exec(record.uri) ?? [];
    found[name in found ? `${name} at ${offset}` : name] = await opener.open(record.uri, 100).then(
      (bytes) => Buffer.from(bytes).toString(),
      (error: unknown) => (error as { code: string }).code,
    );
  }
  const refused = "E_IMAGE_UNREADABLE";
  assert.deepEqual(found, {
    "a/x.png": "old",
    "hard.png": "old",
    "sized.png": "old",
    "a/x.png at 2560": "new",
    "a/soft.png": "new",
    "b/c/up.png": "new",
    "before.png": "after",
    "after.png": "after",
    "out.png": refused,
    "root.png": refused,
    "round.png": refused,
    "turn.png": refused,
    "none.png": refused,
    "folder.png": refused,
  });
  const many: Record<string, string> = {};
  for (const [pack, path] of [
    [Buffer.concat(blocks), shard],
    [gzipSync(Buffer.concat(blocks)), join(folder, "b.tar")],
  ] as const) {
    await writeFile(path, pack);
    const items = await itemsOf(await openTarSource([path]));
    const asked = items.map(({ record }) => ({ uri: record.uri, sizeBytes: 100 }));
    for await (const { at, image } of openUri().openMany(asked)) {
      const [, offset = "", name = ""] = /\?at=(\d+)#(.*)$/.exec(asked[at]!.uri) ?? [];
      const key = offset === "2560" ? `${name} at ${offset}` : name;
      many[key] = image instanceof Uint8Array ? Buffer.from(image).toString() : image.code;
    }
    assert.deepEqual(many, found, path);
  }
  assert.deepEqual(source.account().passedOver, { notFile: { count: 1, first: "pipe.png" } });
  assertAddsUp(source.account(), { taken: 14, known: 0 });
});

test("names that lead elsewhere are read like others, since nothing is unpacked to them; hidden ones are counted", async (t) => {
  const folder = await temporaryFolder(t);
  const names = [
    "../up.png",
    "/etc/absolute.png",
    "a/../b.png",
    "..dots..png",
    "a/._x.jpg",
    ".git/y.png",
    "x?at=512#.png",
  ];
  await writeFile(join(folder, "a.tar"), await tarOf(names.map((name) => ({ name, content: name }))));
  const source = await openTarSource([join(folder, "a.tar")]);
  const items = await itemsOf(source);
  const read = ["../up.png", "/etc/absolute.png", "a/../b.png", "x?at=512#.png"];
  assert.deepEqual(
    items.map(({ record }) => Buffer.from(record.bytes!).toString()),
    read,
  );
  for (const [at, { record }] of items.entries()) {
    assert.equal(Buffer.from(await openUri().open(record.uri, 100)).toString(), read[at]);
  }
  assert.deepEqual(source.account().passedOver, { hidden: { count: 3, first: "..dots..png" } });
  assertAddsUp(source.account(), { taken: 4, known: 0 });
});
