import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { placeGuard, type AllowedRoot } from "../../../connectors/source/allowed-places.js";
import { openUri } from "../../../connectors/source/open-uri.js";
import type { ImageOpener } from "../../../connectors/source/source.js";
import { isSluiceError, messageOf } from "../../../schemas/errors.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const SECRET = "root:x:0:0:the secret of this machine";

interface Place {
  readonly folder: string;
  readonly url: (path: string) => string;
}

/** allowed/a.jpg, allowed/inside -> allowed/a.jpg, allowed/out -> secret, allowed/folder -> the folder of secret */
async function place(t: TestContext): Promise<Place> {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "allowed"));
  await mkdir(join(folder, "allowed beside"));
  await writeFile(join(folder, "secret"), SECRET);
  await writeFile(join(folder, "allowed/a.jpg"), "a picture");
  await writeFile(join(folder, "allowed beside/b.jpg"), SECRET);
  await symlink(join(folder, "allowed/a.jpg"), join(folder, "allowed/inside"));
  await symlink(join(folder, "secret"), join(folder, "allowed/out"));
  await symlink(folder, join(folder, "allowed/folder"));
  return { folder, url: (path) => pathToFileURL(folder).href + path };
}

function opener(roots: readonly AllowedRoot[], schemes = ["file", "tar", "s3"]): ImageOpener {
  return openUri({ guard: placeGuard({ schemes, roots, buckets: [] }) });
}

/** The code of a refusal that tells nothing of what is there; "opened" */
async function becomes(of: ImageOpener, uri: string): Promise<string> {
  try {
    await of.open(uri, 1e6);
    return "opened";
  } catch (error) {
    assert.ok(isSluiceError(error), String(error));
    assert.doesNotMatch(`${messageOf(error)} ${JSON.stringify(error.context)} ${error.stack}`, /root:x|the secret/);
    return error.code;
  }
}

test("what lies outside the roots is refused, also by dots, by links and by a tar's name, whether it is there or not", async (t) => {
  const { folder, url } = await place(t);
  const within = opener([{ path: join(folder, "allowed") }]);
  assert.equal(await becomes(within, url("/allowed/a.jpg")), "opened");
  assert.equal(await becomes(within, url("/allowed/inside")), "opened");
  const tar = (path: string): string => url(path).replace("file://", "tar:");
  const outside = [
    url("/secret"),
    url("/nothing-there"),
    url("/allowed%20beside/b.jpg"),
    `${url("/allowed")}/../secret`,
    `${url("/allowed")}/%2e%2e/secret`,
    `${url("/allowed")}/a.jpg%00`,
    url("/allowed/out"),
    url("/allowed/folder/secret"),
    `${tar("/secret")}#member`,
    `${tar("/allowed/out")}?at=0#member`,
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
  ];
  for (const uri of outside) assert.equal(await becomes(within, uri), "E_IMAGE_REFUSED", uri);
  // Several at once, as a version reads them.
  const asked = outside.map((uri) => ({ uri, sizeBytes: 1e6 }));
  const found: string[] = [];
  for await (const { image } of within.openMany(asked)) {
    assert.ok(isSluiceError(image));
    assert.doesNotMatch(image.message, /root:x/);
    found.push(image.code);
  }
  assert.deepEqual(found, Array(outside.length).fill("E_IMAGE_REFUSED"));
  // A link within the root that leads nowhere is an image that is gone.
  await symlink(join(folder, "allowed/gone"), join(folder, "allowed/nowhere"));
  assert.equal(await becomes(within, url("/allowed/nowhere")), "E_IMAGE_VANISHED");
});

test("without a root nothing is opened, and a scheme that is left out is none", async (t) => {
  const { folder, url } = await place(t);
  assert.equal(await becomes(opener([]), url("/allowed/a.jpg")), "E_IMAGE_REFUSED");
  const tarsAlone = opener([{ path: folder }], ["tar"]);
  assert.equal(await becomes(tarsAlone, url("/allowed/a.jpg")), "E_IMAGE_REFUSED");
  assert.equal(await becomes(opener([{ path: "/" }]), url("/secret")), "opened");
});

test("links of a source that follows them lead where that source lets them", async (t) => {
  const { folder, url } = await place(t);
  const path = join(folder, "allowed");
  assert.equal(await becomes(opener([{ path, links: "anywhere" }]), url("/allowed/out")), "opened");
  assert.equal(await becomes(opener([{ path, links: { within: folder } }]), url("/allowed/out")), "opened");
  const elsewhere = { within: join(folder, "allowed beside") };
  assert.equal(await becomes(opener([{ path, links: elsewhere }]), url("/allowed/out")), "E_IMAGE_REFUSED");
  // A root that is a link itself stands for the folder behind it.
  await symlink(path, join(folder, "linked"));
  assert.equal(await becomes(opener([{ path: join(folder, "linked") }]), url("/linked/a.jpg")), "opened");
});

test("objects are opened in the buckets, and below the prefixes, that are named", async () => {
  const read: string[] = [];
  const buckets = {
    hasAny: async () => true,

    async *pages() {
      await Promise.resolve();
    },
    read: async (bucket: string, key: string) => {
      read.push(`${bucket}/${key}`);
      return new Uint8Array(1);
    },
  };
  const places = [
    { bucket: "crawl", prefix: "2026/" },
    { bucket: "all", prefix: "" },
  ];
  const guard = placeGuard({ schemes: ["s3"], roots: [], buckets: places });
  const within = openUri({ buckets, guard });
  for (const uri of ["s3://crawl/2026/a.jpg", "s3://all/x"]) assert.equal(await becomes(within, uri), "opened", uri);
  for (const uri of ["s3://crawl/2025/a.jpg", "s3://foreign/2026/a.jpg", "s3://crawl2/2026/a.jpg", "s3://crawl/2026"])
    assert.equal(await becomes(within, uri), "E_IMAGE_REFUSED", uri);
  assert.deepEqual(read, ["crawl/2026/a.jpg", "all/x"]);
});
