import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openSource } from "../../../pipelines/open/open-source.js";
import { configSchema, type Config } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";

let folder = "";
let config: Config;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-source-"));
  config = configSchema.parse({ data: join(folder, "pictures", "sluice-data") });
  await mkdir(join(config.data, "store"), { recursive: true });
  await writeFile(join(folder, "pictures", "a.jpg"), "a");
  await writeFile(join(folder, "pictures", "b.txt"), "b");
  await writeFile(join(config.data, "store", "object"), "ours");
  await symlink(join(folder, "pictures", "a.jpg"), join(folder, "pictures", "link.jpg"));
});

after(() => rm(folder, { recursive: true, force: true }));

async function uris(inputs: string[], include?: string[]): Promise<string[]> {
  const source = await openSource(config, inputs, { include });
  const found: string[] = [];
  for await (const { record } of source.items(null)) found.push(record.uri.split("/").at(-1)!);
  return found;
}

test("a folder gives its files, without the data folder that lies in it, and says what it passed over", async () => {
  const source = await openSource(config, [join(folder, "pictures")]);
  const found: string[] = [];
  for await (const { record } of source.items(null)) found.push(record.uri.split("/").at(-1)!);
  assert.deepEqual(found, ["a.jpg"]);
  assert.deepEqual(source.account(), {
    given: 4,
    taken: 1,
    known: 0,
    passedOver: {
      link: { count: 1, first: "link.jpg" },
      ownFolder: { count: 1, first: "sluice-data" },
      sidecar: { count: 1, first: "b.txt" },
    },
  });
});

test("globs leave files out", async () => {
  await rm(join(config.data, "listings"), { recursive: true, force: true });
  assert.deepEqual(await uris([join(folder, "pictures")], ["*.jpg"]), ["a.jpg"]);
});

test("several folders are refused, and what is not there is missing", async () => {
  const pictures = join(folder, "pictures");
  await assert.rejects(openSource(config, [pictures, folder]), (error) => isSluiceError(error, "E_USAGE"));
  await assert.rejects(openSource(config, [pictures, "x.tar"]), (error) => isSluiceError(error, "E_USAGE"));
  await assert.rejects(openSource(config, [join(folder, "absent")]), (error) =>
    isSluiceError(error, "E_SOURCE_MISSING"),
  );
});

test("a bucket needs the settings of its server, and stands alone", async () => {
  await assert.rejects(
    openSource(config, ["s3://crawl/2026/"]),
    (error) => isSluiceError(error, "E_CONFIG") && /s3\.endpoint, s3\.accessKey and s3\.secretKey/.test(error.message),
  );
  for (const inputs of [["s3://crawl/", join(folder, "pictures")], ["s3://crawl/", "s3://other/"], ["s3:/crawl"]]) {
    await assert.rejects(openSource(config, inputs), (error) => isSluiceError(error, "E_USAGE"), inputs.join(" "));
  }
});
