import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import { sweepAttempts } from "../../../operators/version/attempt.js";
import { publish } from "../../../operators/version/publish.js";
import { listVersions, verifyVersion } from "../../../pipelines/versions/versions.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { collect, publishOptions } from "../../fixtures/publishing.js";

const { classes, images } = manyClasses(4, (index) => [4, 0, 5, 3][index]!, 3000);

test("a publisher killed at any of its writes leaves a whole version or none, and the next one works", async (t) => {
  let deaths = 0;
  for (let dieAt = 0; ; dieAt++) {
    const folder = await mkdtemp(join(tmpdir(), "sluice-kill-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const script = join(import.meta.dirname, "../../fixtures/publish-and-die.js");
    const child = spawnSync(process.execPath, [script, folder, String(dieAt), "dead"], { encoding: "utf8" });
    if (child.status === 0) {
      assert.ok(Number(child.stdout) <= dieAt, child.stdout);
      break;
    }
    assert.equal(child.signal, "SIGKILL", child.stderr);
    deaths++;

    const store = await openFilesystemStore(folder);
    const before = await collect(listVersions(store, "wild"));
    for (const { number } of before) assert.deepEqual((await verifyVersion(store, "wild", number)).findings, []);
    const options = { ...publishOptions(images), store };
    const { outcome, manifest } = await publish(madeCut(classes), options);
    assert.equal(outcome, before.length === 1 ? "unchanged" : "created", `killed at call ${dieAt}`);
    assert.deepEqual((await verifyVersion(store, "wild", "latest")).findings, []);

    await sweepAttempts(store, "wild");
    const attempts = new Set(manifest.files.map(({ key }) => key.split("/")[3]));
    const held: string[] = [];
    for await (const { key } of store.list("versions/wild/data/")) held.push(key.split("/")[3]!);
    assert.deepEqual(new Set(held), attempts);
    assert.deepEqual((await verifyVersion(store, "wild", "latest")).findings, []);
    await store.close();
    assert.ok((await readdir(folder)).length > 0);
  }
  assert.ok(deaths >= 8, `only ${deaths} deaths`);
});
