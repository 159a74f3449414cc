import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "minio";
import { packageFile } from "../../cli/package-root.js";
import { startMinio, type LocalObjectStore } from "../../deploy/local/minio.js";
import { cannotStart } from "../deploy/local/require-service.js";
import { CommandFolder, ENGINE, type Ingested, type Published } from "../fixtures/command-folder.js";
import { writePictures } from "../fixtures/pictures.js";

/** The commands of the section on restoring, as docs/operations.md has them, without `sluice` */
async function restoringCommands(): Promise<string[][]> {
  const page = await readFile(packageFile("docs/operations.md"), "utf8");
  const section = page.slice(page.indexOf("### To restore")).split(/^## /m)[0]!;
  const [, script = ""] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  return script.split("\n").flatMap((line) => {
    const [, command] = /^sluice ([^#]+)/.exec(line) ?? [];
    return command === undefined ? [] : [command.trim().split(" ")];
  });
}

describe("a store restored from a copy of its bucket", { skip: await cannotStart("minio") }, () => {
  let minio: LocalObjectStore;
  before(async () => {
    minio = await startMinio();
  });
  after(() => minio.stop());

  test("what docs/operations.md says to do gives the same versions, and the stream goes on", async (t) => {
    const folder = await CommandFolder.make({ images: 30, datasets: "[{ name: flowers, select: { k: 4, p: 2 } }]" }, t);
    const original = { ...minio.environment, SLUICE_BYTES: "keep" };
    const succeeds = async (environment: Record<string, string>, ...args: string[]): Promise<string> => {
      const { code, out, err } = await folder.under(environment, ...args);
      assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
      return out;
    };
    const ingest = ["ingest", "pictures", ...ENGINE, "--json"];
    const [first] = (JSON.parse(await succeeds(original, ...ingest)) as Ingested).published;
    await succeeds(original, "compact");

    const client = new Client({
      endPoint: "127.0.0.1",
      port: minio.port,
      useSSL: false,
      region: "us-east-1",
      accessKey: minio.accessKey,
      secretKey: minio.secretKey,
    });
    const copy = "copy-of-sluice";
    await client.makeBucket(copy);
    let copied = 0;
    for await (const { name } of client.listObjectsV2(minio.bucket, "", true) as AsyncIterable<{ name: string }>) {
      await client.copyObject(copy, name, `/${minio.bucket}/${name}`);
      copied++;
    }
    assert.ok(copied > 10);
    // Thirty of them are those that are there. What comes after the copy is lost with the bucket; the machine's own folder goes as well.
    await writePictures(join(folder.path, "pictures", "later"), { images: 36 });
    await succeeds(original, ...ingest);
    for await (const { name } of client.listObjectsV2(minio.bucket, "", true) as AsyncIterable<{ name: string }>)
      await client.removeObject(minio.bucket, name);

    const restored = { ...original, SLUICE_S3__BUCKET: copy, SLUICE_DATA: "another-machine" };
    const commands = await restoringCommands();
    assert.deepEqual(
      commands.map(([command]) => command),
      ["archive", "versions", "reproduce", "log"],
    );
    for (const command of commands) await succeeds(restored, ...command);
    const again = JSON.parse(await succeeds(restored, "rebuild", "--json")) as Published;
    assert.deepEqual([again.outcome, again.id], ["unchanged", first.id]);
    const { counts } = JSON.parse(await succeeds(restored, ...ingest)) as Ingested;
    assert.equal(counts.scored, 6, "what the copy has is known by its digest");
  });
});
