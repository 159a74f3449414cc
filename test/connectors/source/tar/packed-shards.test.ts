import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import zlib from "node:zlib";
import { openUri } from "../../../../connectors/source/open-uri.js";
import { openTarSource } from "../../../../connectors/source/tar/tar.js";
import { SeededRandom } from "../../../../operators/training/seeded-random.js";
import { itemsOf } from "../../../conformance/source.js";
import { tarOf, type MemberToWrite } from "../../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

/** Bytes that do not compress, as those of photographs. */
function noise(sizeBytes: number, seed: number): Buffer {
  const random = new SeededRandom(seed);
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => random.below(256)));
}

const photographs = (count: number, sizeBytes: number): MemberToWrite[] =>
  Array.from({ length: count }, (_, at) => ({ name: `${at}.jpg`, content: noise(sizeBytes + at, at + 1) }));

test("gzip is read whatever its size, its name and the number of its members", async (t) => {
  const folder = await temporaryFolder(t);
  const small = photographs(8, 2_000);
  const large = photographs(12, 90_000);
  const shards: Record<string, [MemberToWrite[], Buffer]> = {
    "small.tar.gz": [small, zlib.gzipSync(await tarOf(small))],
    "large.tgz": [large, zlib.gzipSync(await tarOf(large))],
    "named-otherwise.tar": [large, zlib.gzipSync(await tarOf(large), { level: 1 })],
    "members.tar.gz": [
      [...small, ...large],
      Buffer.concat([zlib.gzipSync(await tarOf(small)), zlib.gzipSync(await tarOf(large))]),
    ],
  };
  const cut = await tarOf(large);
  // What bgzip and pigz write: members that end anywhere.
  const pieces = Array.from({ length: 40 }, (_, at) => cut.subarray(at * 30_000, (at + 1) * 30_000));
  shards["pieces.tar.gz"] = [large, Buffer.concat(pieces.map((piece) => zlib.gzipSync(piece)))];
  for (const [name, [members, bytes]] of Object.entries(shards)) {
    await writeFile(join(folder, name), bytes);
    const items = await itemsOf(await openTarSource([join(folder, name)]));
    assert.deepEqual(
      items.map(({ record }) => Buffer.from(record.bytes!).toString("latin1")),
      members.map(({ content }) => Buffer.from(content).toString("latin1")),
      name,
    );
  }
});

test("a shard that is cut anywhere gives its whole members and one item that is refused", async (t) => {
  const folder = await temporaryFolder(t);
  const members = photographs(6, 3_000);
  const tar = await tarOf(members);
  const opener = openUri();
  const random = new SeededRandom(5);
  for (let run = 0; run < 40; run++) {
    const isPacked = run % 2 === 1;
    const whole = isPacked ? zlib.gzipSync(tar) : tar;
    const kept = random.below(whole.length - 1) + 1;
    const shard = join(folder, `${run}.tar`);
    await writeFile(shard, whole.subarray(0, kept));
    // What zlib gets out of the beginning is what is there.
    const there = isPacked
      ? zlib.gunzipSync(whole.subarray(0, kept), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).length
      : kept;
    const ends = members.map(
      (_, at) =>
        members.slice(0, at + 1).reduce((end, { content }) => end + 512 + Math.ceil(content.length / 512) * 512, 0) -
        (512 - (members[at]!.content.length % 512 || 512)),
    );
    const expected = ends.filter((end) => end <= there).length;
    const items = await itemsOf(await openTarSource([shard]));
    const isEnded = !isPacked && kept >= ends.at(-1)! + 512 + 511;
    assert.equal(items.length, expected + (isEnded ? 0 : 1), `${run}: ${kept} of ${whole.length} bytes`);
    if (isEnded) continue;
    assert.equal(items.at(-1)!.record.uri, `tar:${shard}#`);
    await assert.rejects(opener.open(items.at(-1)!.record.uri, 100), { code: "E_IMAGE_UNREADABLE" });
  }
});

test("what is not read is refused with the command that unpacks it", async (t) => {
  const folder = await temporaryFolder(t);
  const magics: Record<string, [number[], RegExp]> = {
    "a.tar.xz": [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], /found xz at .* `xz -dk \S*a\.tar\.xz`, then give the \.tar/],
    "a.tar.bz2": [[0x42, 0x5a, 0x68, 0x39], /found bzip2 at .* `bzip2 -dk /],
    "a.tar.lz4": [[0x04, 0x22, 0x4d, 0x18], /found lz4 at .* `lz4 -d /],
    "a.zip": [[0x50, 0x4b, 3, 4], /found zip at .* `unzip \S*a\.zip -d <folder>`, then give the folder/],
    "named.tar": [[0x50, 0x4b, 3, 4], /found zip at /],
    "a.7z": [[0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], /found 7z at .* `7z x /],
    "a.rar": [[0x52, 0x61, 0x72, 0x21, 0x1a, 7], /found rar at .* `unrar x /],
  };
  for (const [name, [magic, message]] of Object.entries(magics)) {
    await writeFile(join(folder, name), Buffer.from([...magic, 0, 0, 0, 0]));
    await assert.rejects(openTarSource([join(folder, name)]), { code: "E_SOURCE_READ", message }, name);
  }
});

test("a folder of shards stands for its shards, and what lies beside them is counted", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "part"));
  for (const [name, content] of [
    ["00000.tar", await tarOf([{ name: "a.jpg", content: "a" }])],
    ["part/00001.tar", await tarOf([{ name: "b.jpg", content: "b" }])],
    ["00000.parquet", "rows"],
    ["00000_stats.json", "{}"],
    [".lock", ""],
  ] as const) {
    await writeFile(join(folder, name), content);
  }
  const source = await openTarSource([folder]);
  const items = await itemsOf(source);
  assert.deepEqual(
    items.map(({ record }) => Buffer.from(record.bytes!).toString()),
    ["a", "b"],
  );
  assert.deepEqual(source.account(), {
    given: 5,
    taken: 2,
    known: 0,
    passedOver: {
      hidden: { count: 1, first: ".lock" },
      besideShards: { count: 1, first: "00000.parquet" },
      sidecar: { count: 1, first: "00000_stats.json" },
    },
  });
});
