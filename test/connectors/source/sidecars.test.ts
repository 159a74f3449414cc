import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { openBucketSource } from "../../../connectors/source/bucket.js";
import { openFolderSource } from "../../../connectors/source/folder.js";
import type { ImageBuckets, Source } from "../../../connectors/source/source.js";
import { openTarSource } from "../../../connectors/source/tar/tar.js";
import { assertAddsUp, itemsOf } from "../../conformance/source.js";
import { tarOf } from "../../fixtures/tar-archive.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

/** Licences by the images' names. */
async function licences(source: Source): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = {};
  for (const { record } of await itemsOf(source))
    // A member's uri ends with its place.
    found[decodeURIComponent(record.uri.split("/").at(-1)!.replace(/@\d+$/, ""))] = record.licence;
  return found;
}

const BASES = ["22", "22.05", "22.05.b", "x", "x.png", "x.v1"];
const IMAGES = [".png", ".jpg", ".PNG"];

/** Which sidecars an image has, by the rule in words: its own name, or it without the last extension, and `.json` behind. */
function ownSidecars(image: string): readonly string[] {
  return [`${image}.json`, `${image.split(".").slice(0, -1).join(".")}.json`];
}

test("an image's licence is that of its own sidecar, in a folder and in a tar, in whatever order they come", async (t) => {
  const root = await temporaryFolder(t);
  let runs = 0;
  const image = fc.tuple(fc.constantFrom(...BASES), fc.constantFrom(...IMAGES)).map(([base, ending]) => base + ending);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(image, { minLength: 1, maxLength: 8 }),
      fc.uniqueArray(fc.constantFrom(...BASES, ...BASES.map((base) => `${base}.png`)), { maxLength: 8 }),
      fc.infiniteStream(fc.nat()),
      async (images, stems, order) => {
        const files = [
          ...images.map((name) => ({ name, content: name })),
          ...stems.map((stem) => ({ name: `${stem}.json`, content: JSON.stringify({ license: `of ${stem}.json` }) })),
        ];
        const shuffled = files
          .map((file) => ({ file, key: order.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ file }) => ({ ...file, name: `clip.v1/${file.name}` }));
        const folder = join(root, String(runs++), "clip.v1");
        await mkdir(folder, { recursive: true });
        for (const { name, content } of files) await writeFile(join(folder, name), content);
        await writeFile(`${dirname(folder)}.tar`, await tarOf(shuffled));
        const allowed = Object.fromEntries(
          images.map((name) => {
            const own = ownSidecars(name).filter((sidecar) => stems.includes(sidecar.slice(0, -".json".length)));
            return [name, own.map((sidecar) => `of ${sidecar}`)];
          }),
        );
        for (const source of [await openFolderSource(folder), await openTarSource([`${dirname(folder)}.tar`])]) {
          for (const [name, licence] of Object.entries(await licences(source))) {
            const right = allowed[name]!;
            assert.ok(licence === null ? right.length === 0 : right.includes(licence), `${name}: ${licence ?? "none"}`);
          }
          assertAddsUp(source.account(), { taken: images.length, known: 0 });
        }
      },
    ),
    { numRuns: 60, seed: 17 },
  );
});

test("sidecars may stand after all images, or before them; one too far off is counted, and given to no image", async (t) => {
  const folder = await temporaryFolder(t);
  const count = 300;
  const images = Array.from({ length: count }, (_, at) => ({ name: `${at}.jpg`, content: `image ${at}` }));
  const sidecars = images.map((_, at) => ({ name: `${at}.json`, content: JSON.stringify({ licence: `${at}` }) }));
  for (const [order, members] of [
    ["after", [...images, ...sidecars]],
    ["before", [...sidecars, ...images]],
  ] as const) {
    await writeFile(join(folder, `${order}.tar`), await tarOf(members));
    const found = await licences(await openTarSource([join(folder, `${order}.tar`)]));
    assert.deepEqual(
      Object.values(found),
      images.map((_, at) => String(at)),
      order,
    );
  }
  const many = Array.from({ length: 1100 }, (_, at) => ({ name: `m${at}.jpg`, content: `m ${at}` }));
  await writeFile(join(folder, "far.tar"), await tarOf([images[0]!, ...many, sidecars[0]!]));
  const source = await openTarSource([join(folder, "far.tar")]);
  assert.ok(Object.values(await licences(source)).every((licence) => licence === null));
  assert.deepEqual(source.account().passedOver, { loneSidecar: { count: 1, first: "0.json" } });
});

test("a run that goes on within a shard has the licences that a run at once has", async (t) => {
  const folder = await temporaryFolder(t);
  const members = Array.from({ length: 6 }, (_, at) => [
    { name: `${at}.jpg`, content: `image ${at}` },
    { name: `${at}.json`, content: JSON.stringify({ licence: `${at}` }) },
  ]).flat();
  await writeFile(join(folder, "a.tar"), await tarOf(members));
  const open = () => openTarSource([join(folder, "a.tar")]);
  const all = await itemsOf(await open());
  for (const [at, { cursor }] of all.entries()) {
    const source = await open();
    assert.deepEqual(
      (await itemsOf(source, cursor)).map(({ record }) => record.licence),
      all.slice(at + 1).map(({ record }) => record.licence),
    );
    assertAddsUp(source.account(), { taken: 5 - at, known: at + 1 });
  }
});

test("sidecars of any kind are no images, and say nothing where they are not JSON objects", async (t) => {
  const folder = await temporaryFolder(t);
  const files: Record<string, string> = {
    "a.jpg": "a",
    "a.txt": "a caption",
    "b.jpg": "b",
    "b.json": "\uFEFF" + JSON.stringify({ licence: "MIT", url: "https://example.org/b" }),
    "c.jpg": "c",
    "c.json": "{ broken",
    "d.jpg": "d",
    "d.json": "[1]",
    "e.cls": "7",
    "shard.tar": "a tar",
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const listed: ImageBuckets = {
    hasAny: async () => true,
    read: async () => new Uint8Array(1),
    async *pages() {
      yield Object.keys(files).map((key) => ({ key: `p/${key}`, sizeBytes: 1, modifiedMs: 1, etag: key }));
    },
  };
  const right = { "a.jpg": null, "b.jpg": "MIT", "c.jpg": null, "d.jpg": null };
  const source = await openFolderSource(folder);
  assert.deepEqual(await licences(source), right);
  const first = { sidecar: "a.txt", shard: "shard.tar" };
  assert.deepEqual(source.account().passedOver, {
    sidecar: { count: 5, first: first.sidecar },
    shard: { count: 1, first: first.shard },
  });
  // Of objects the sidecars are not read: nothing is known of their rights.
  const bucket = await openBucketSource({ buckets: listed, bucket: "bucket", prefix: "p/" });
  assert.deepEqual(await licences(bucket), { ...right, "b.jpg": null });
  assert.deepEqual(bucket.account().passedOver, {
    sidecar: { count: 5, first: `s3://bucket/p/${first.sidecar}` },
    shard: { count: 1, first: `s3://bucket/p/${first.shard}` },
  });
  assertAddsUp(bucket.account(), { taken: 4, known: 0 });
});
