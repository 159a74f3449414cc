import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { sealJson } from "../../schemas/sealed-json.js";
import { CommandFolder } from "../fixtures/command-folder.js";

test("a store of this release has nothing to migrate; one of a newer release is refused by every command, and nothing is touched", async (t) => {
  const folder = await CommandFolder.make({ images: 6, datasets: "[{ name: few, select: { k: 2, p: 1 } }]" }, t);
  await folder.ingest();
  const migrated = await folder.json<{ format: number; newest: number; migrated: unknown[] }>("migrate");
  assert.deepEqual([migrated.format, migrated.newest, migrated.migrated], [1, 1, []]);
  assert.match((await folder.sluice("migrate")).out, /has format 1.*nothing to migrate/i);

  await mkdir(folder.stored("formats"));
  await writeFile(
    folder.stored("formats", "2.json"),
    sealJson({ schemaVersion: 2, format: 2, codeVersion: "9.8.7", more: {} }),
  );
  const before = await folder.objects();
  for (const args of [
    ["migrate"],
    ["status"],
    ["ingest", "pictures"],
    ["rebuild", "few"],
    ["versions", "list"],
    ["gc", "--yes"],
    ["compact"],
    ["serve", "--port", "0"],
    ["mcp"],
  ]) {
    const { code, err } = await folder.sluice(...args);
    assert.equal(code, 1, args.join(" "));
    assert.match(
      err,
      /error E_STORE_NEWER: .*format 1 or older.*found format 2, written by Sluice 9\.8\.7.*Install that release/,
      args.join(" "),
    );
  }
  assert.deepEqual(await folder.objects(), before);

  // Damaged, it still is of a newer release.
  await writeFile(folder.stored("formats", "2.json"), "no JSON");
  assert.match((await folder.sluice("status")).err, /E_STORE_NEWER.*written by a Sluice that is not told/);
  await rm(folder.stored("formats"), { recursive: true });
  assert.equal((await folder.sluice("versions", "verify", "few/1")).code, 0);
});
