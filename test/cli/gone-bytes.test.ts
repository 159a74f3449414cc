import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Manifest } from "../../schemas/manifest.js";
import { CommandFolder, ENGINE } from "../fixtures/command-folder.js";

test("kept bytes that are gone: publish refuses and says whose, verify names each file that is missing, and what is whole goes on", async (t) => {
  const place = await CommandFolder.make({ images: 24 }, t);
  const call = ["pictures", "--teacher", "teacher", "--k", "3", "--p", "1", "--set", "bytes=keep", ...ENGINE];
  assert.equal((await place.sluice("ingest", ...call)).code, 0);
  const manifest = await place.json<Manifest>("versions", "show", "latest");
  // The pictures and what the store kept of them go; the version has its shards.
  await rm(join(place.path, "pictures"), { recursive: true });
  await rm(place.stored("packs"), { recursive: true });
  const refused = await place.sluice("rebuild", "--set", "datasets.0.select.k=4");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /E_PUBLISH_ABSENT: Expected the bytes of .* such as file:.*picture-.*`sluice relocate/s);
  assert.deepEqual((await place.json<{ versions: unknown[] }>("versions", "list")).versions.length, 1);
  assert.equal((await place.sluice("versions", "verify", "latest")).code, 0);
  const shard = manifest.files.find(({ key, rows }) => key.endsWith(".tar") && (rows ?? 0) > 0)!;
  await rm(place.stored(shard.key));
  const { code, out } = await place.sluice("versions", "verify", "latest");
  assert.equal(code, 3);
  assert.ok(out.includes(shard.key), out);
  const exported = await place.sluice("versions", "export", "latest", "--as", "folder", "--to", "copy");
  assert.notEqual(exported.code, 0);
  assert.ok(exported.err.includes(shard.key.split("/").at(-1)!), exported.err);
  assert.ok(!(await readdir(join(place.path, "copy"))).includes("README.md"));
});
