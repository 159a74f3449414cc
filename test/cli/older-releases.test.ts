import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../architecture/repository.js";
import { CommandFolder } from "../fixtures/command-folder.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

/** Data folders as each release wrote them, and the id of a version in each (made by make.ts there). They stay for ever. */
const RELEASES = join(ROOT, "test", "fixtures", "releases");
const releases = readdirSync(RELEASES).filter((name) => name.endsWith(".json"));

test("there is a data folder of this release, at least", () => {
  assert.ok(releases.length > 0);
});

for (const release of releases) {
  const name = release.replace(/\.json$/, "");
  const { id, dataset } = JSON.parse(readFileSync(join(RELEASES, release), "utf8")) as { id: string; dataset: string };

  test(`the data folder of ${name} is read: it verifies, and its version is made again, from a copy as from the folder itself`, async (t) => {
    const original = await temporaryFolder(t);
    execFileSync("tar", ["--extract", "--gzip", "--file", join(RELEASES, `${name}.tar.gz`), "--directory", original]);
    // A backup: the store alone, copied object by object, without the log and what else a machine remembers.
    const restored = await temporaryFolder(t);
    for (const part of ["sluice.yaml", "teacher", "sluice-data/store"])
      await cp(join(original, part), join(restored, part), { recursive: true });
    for (const place of [original, restored]) {
      const folder = CommandFolder.at(place);
      assert.equal((await folder.json<{ format: number }>("migrate")).format, 1);
      for (const args of [
        ["archive", "verify"],
        ["versions", "verify", `${dataset}/1`, "--deep"],
        ["quarantine", "list"],
        ["reproduce", `${dataset}/1`],
      ]) {
        const { code, out, err } = await folder.sluice(...args);
        assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
      }
      assert.equal((await folder.json<{ id: string }>("versions", "show", `${dataset}/1`)).id, id);
      assert.ok((await folder.sluice("rebuild", dataset, "--json")).out.includes(id));
    }
  });
}
