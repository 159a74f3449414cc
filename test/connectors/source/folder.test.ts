import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { openFolderSource } from "../../../connectors/source/folder.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import { assertAddsUp, contentOf, itemsOf, sourceConformance } from "../../conformance/source.js";
import { makePipe } from "../../fixtures/make-images.js";

const temporary: string[] = [];
after(async () => {
  for (const folder of temporary) await rm(folder, { recursive: true, force: true });
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-folder-"));
  temporary.push(folder);
  return folder;
}

/** Writes files whose content is their path; returns the folder. */
async function folderOf(paths: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const path of paths) await put(folder, path, path);
  return folder;
}

async function put(folder: string, path: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

const opener = openUri();
const pathsOf = async (source: Awaited<ReturnType<typeof openFolderSource>>, cursor: string | null = null) =>
  Promise.all((await itemsOf(source, cursor)).map((item) => contentOf(item, opener)));

const TREE = [
  "a-b/1.jpg",
  "a.jpg",
  "a/x.jpg",
  "a/y/z.jpg",
  "b.jpg",
  "b/1 2#3%4?.jpg",
  "c/c/c/c.png",
  "ä/ö.jpg",
  "日本.jpg",
];

sourceConformance("folder", async () => {
  const folder = await folderOf([...TREE].reverse());
  return { open: () => openFolderSource(folder), expected: TREE, opener };
});

sourceConformance("folder, remembering what it has taken", async () => {
  const folder = await folderOf([...TREE].reverse());
  const listings = await temporaryFolder();
  return { open: () => openFolderSource(folder, { listings }), expected: TREE, opener };
});

describe("folder source", () => {
  test("orders by the bytes of the whole path, whatever order files were made in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.array(fc.constantFrom("a", "a-", "a.", "b", "é", "z z", "0"), { minLength: 1, maxLength: 4 }),
          { minLength: 1, maxLength: 12, selector: (path) => path.join("/") },
        ),
        async (paths) => {
          // A name cannot be a file and a folder: files end in a name that no folder has.
          const files = paths.map((path) => `${path.join("/")}/f`);
          const folder = await folderOf(files);
          const sorted = [...files].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
          assert.deepEqual(await pathsOf(await openFolderSource(folder)), sorted);
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  });

  test("refers to files by the uri that Node gives them, with their time", async () => {
    const folder = await folderOf(["x/a b.jpg"]);
    await utimes(join(folder, "x/a b.jpg"), 1_600_000_000, 1_500_000_000.25);
    const [item] = await itemsOf(await openFolderSource(folder));
    assert.deepEqual(item?.record, {
      uri: pathToFileURL(join(folder, "x/a b.jpg")).href,
      bytes: null,
      eventTimeMs: 1_500_000_000_250,
      licence: null,
      origin: null,
      retryOf: null,
    });
  });

  test(
    "reaches files whose names are no UTF-8",
    { skip: process.platform !== "linux" && "names are text here" },
    async () => {
      const folder = await folderOf(["b.jpg"]);
      await writeFile(
        Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xe9, 0xff]), Buffer.from(".jpg")]),
        "bytes",
      );
      const items = await itemsOf(await openFolderSource(folder));
      assert.ok(items[1]!.record.uri.endsWith("/%E9%FF.jpg"));
      assert.equal(await contentOf(items[1]!, opener), "bytes");
    },
  );

  test("leaves out dot files, links, pipes and the folders it is told to skip, and counts what it passed over", async () => {
    const folder = await folderOf(["a.jpg", ".hidden.jpg", ".git/b.jpg", "data/log.jpg", "other/data/c.jpg"]);
    await symlink(join(folder, "a.jpg"), join(folder, "link.jpg"));
    await symlink(join(folder, "other"), join(folder, "linked"));
    await symlink(folder, join(folder, "other", "circle"));
    makePipe(join(folder, "pipe.jpg"));
    const source = await openFolderSource(folder, { skip: [join(folder, "data")] });
    assert.deepEqual(await pathsOf(source), ["a.jpg", "other/data/c.jpg"]);
    const counts = Object.entries(source.account().passedOver).map(([reason, { count, first }]) => [
      reason,
      count,
      first,
    ]);
    assert.deepEqual(counts.sort(), [
      ["hidden", 2, ".git"],
      ["link", 3, "linked"],
      ["ownFolder", 1, "data"],
      ["special", 1, "pipe.jpg"],
    ]);
    assertAddsUp(source.account(), { taken: 2, known: 0 });
    assert.deepEqual(await source.estimate(), { items: 2 });
  });

  test("takes links for what they lead to where it is told to, but never a folder within itself", async () => {
    const cache = await folderOf(["blobs/a", "blobs/b", "blobs/sub/c"]);
    const folder = await folderOf(["real.jpg", "sub/d.jpg"]);
    await symlink(join(cache, "blobs/a"), join(folder, "a.jpg"));
    await symlink(join(cache, "blobs"), join(folder, "linked"));
    await symlink("nowhere", join(folder, "broken.jpg"));
    await symlink(".", join(folder, "loop"));
    await symlink("..", join(folder, "sub", "up"));
    await symlink("self", join(folder, "self"));
    const source = await openFolderSource(folder, { followLinks: true });
    // What a file holds here is the path that it was made at.
    const paths = ["blobs/a", "blobs/a", "blobs/b", "blobs/sub/c", "real.jpg", "sub/d.jpg"];
    assert.deepEqual(await pathsOf(source), paths);
    assert.deepEqual(source.account().passedOver, {
      brokenLink: { count: 1, first: "broken.jpg" },
      loop: { count: 3, first: "self" },
    });
    assertAddsUp(source.account(), { taken: 6, known: 0 });
    // A run that goes on gives exactly the rest.
    const items = await itemsOf(source);
    for (const [at, { cursor }] of items.entries()) {
      assert.equal((await itemsOf(await openFolderSource(folder, { followLinks: true }), cursor)).length, 5 - at);
    }
    const within = await openFolderSource(folder, { followLinks: true, linksWithin: folder });
    assert.deepEqual(await pathsOf(within), ["real.jpg", "sub/d.jpg"]);
    assert.equal(within.account().passedOver.outside?.count, 2);
    assertAddsUp(within.account(), { taken: 2, known: 0 });
  });

  test("passes over data folders of Sluice, whichever they are", async () => {
    const folder = await folderOf(["a.jpg", "runs/store/x", "runs/log/data.mdb", "log/b.jpg", "store/c.jpg"]);
    const source = await openFolderSource(folder);
    assert.deepEqual(await pathsOf(source), ["a.jpg", "log/b.jpg", "store/c.jpg"]);
    assert.deepEqual(source.account().passedOver, { ownFolder: { count: 1, first: "runs/" } });
  });

  test("skips a data folder that is reached through a link, or made only later", async () => {
    const folder = await folderOf(["a.jpg", "data/log.jpg"]);
    const link = join(await temporaryFolder(), "link");
    await symlink(folder, link);
    const source = await openFolderSource(folder, { skip: [join(link, "data"), join(link, "later")] });
    await put(folder, "later/log.jpg", "made during the run");
    assert.deepEqual(await pathsOf(source), ["a.jpg"]);
  });

  test("is named by where it really is", async () => {
    const folder = await folderOf(["a.jpg"]);
    const elsewhere = join(await temporaryFolder(), "link");
    await symlink(folder, elsewhere);
    assert.equal((await openFolderSource(elsewhere)).name, (await openFolderSource(`${folder}/./`)).name);
  });

  test("takes only what an include glob matches", async () => {
    const folder = await folderOf(["a.jpg", "a.txt", "b/c.jpg", "b/d.png", "b/e/f.jpg"]);
    const included = async (...include: string[]): Promise<readonly string[]> =>
      pathsOf(await openFolderSource(folder, { include }));
    assert.deepEqual(await included("**/*.jpg"), ["a.jpg", "b/c.jpg", "b/e/f.jpg"]);
    assert.deepEqual(await included("*.jpg", "b/*.png"), ["a.jpg", "b/d.png"]);
    assert.deepEqual(await (await openFolderSource(folder, { include: ["*.jpg"] })).estimate(), { items: 1 });
  });

  test("takes a name that reads as a glob, and one that is written in Unicode's other form", async () => {
    const folder = await folderOf(["a [1].jpg", "b1.jpg", "cafe\u0301.jpg"]);
    const included = async (...include: string[]): Promise<number> =>
      (await pathsOf(await openFolderSource(folder, { include }))).length;
    assert.equal(await included("a [1].jpg"), 1);
    assert.equal(await included("b[1].jpg"), 1);
    assert.equal(await included("caf\u00e9*"), 1);
  });

  test("says what is missing", async () => {
    const folder = await folderOf(["a.jpg"]);
    await assert.rejects(openFolderSource(join(folder, "none")), { code: "E_SOURCE_MISSING" });
    await assert.rejects(openFolderSource(join(folder, "a.jpg", "none")), { code: "E_SOURCE_MISSING" });
    await assert.rejects(openFolderSource(join(folder, "a.jpg")), { code: "E_SOURCE_READ" });
    const source = await openFolderSource(folder);
    await rm(folder, { recursive: true });
    await assert.rejects(itemsOf(source), { code: "E_SOURCE_MISSING" });
  });

  test("of an empty folder says what to do, unless pictures may still come", async () => {
    const folder = await temporaryFolder();
    for (const listings of [undefined, await temporaryFolder()]) {
      await assert.rejects(itemsOf(await openFolderSource(folder, { listings })), { code: "E_SOURCE_EMPTY" });
    }
    const waiting = await openFolderSource(folder, { listings: await temporaryFolder(), mayBeEmpty: true });
    assert.deepEqual(await itemsOf(waiting), []);
  });

  test("goes on past a folder that cannot be listed, and names it as an image that cannot be read", async () => {
    const folder = await folderOf(["a.jpg", "closed/b.jpg", "d.jpg"]);
    await chmod(folder, 0o755);
    await chmod(join(folder, "closed"), 0);
    // Root reads everything: another user must try.
    const script = `
      import { openFolderSource } from ${JSON.stringify(new URL("../../../connectors/source/folder.js", import.meta.url).href)};
      import { openUri } from ${JSON.stringify(new URL("../../../connectors/source/open-uri.js", import.meta.url).href)};
      const found = [];
      if (process.getuid() === 0) process.setuid(65534);
      for await (const { record } of (await openFolderSource(${JSON.stringify(folder)})).items(null)) {
        found.push([record.uri, await openUri().open(record.uri, 100).then((bytes) => bytes.toString(), (error) => error.code)]);
      }
      console.log(JSON.stringify(found));`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    await chmod(join(folder, "closed"), 0o755);
    assert.equal(run.status, 0, run.stderr);
    const url = pathToFileURL(folder).href;
    assert.deepEqual(JSON.parse(run.stdout), [
      [`${url}/a.jpg`, "a.jpg"],
      [`${url}/closed/`, "E_IMAGE_UNREADABLE"],
      [`${url}/d.jpg`, "d.jpg"],
    ]);
  });
});
