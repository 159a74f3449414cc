import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { mkdir, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFilesystemStore } from "../../../../connectors/store/filesystem/filesystem-store.js";
import { isSluiceError, messageOf, type ErrorCode } from "../../../../schemas/errors.js";
import { assertOneWinnerEach } from "../../../conformance/store-race.js";
import { listed, storeConformance } from "../../../conformance/store.js";
import { LineProcess } from "../../../fixtures/line-process.js";
import { mountedFolder } from "../../../fixtures/mounted-folder.js";
import { temporaryFolder } from "../../../fixtures/temporary-folder.js";

const shared = mkdtempSync(join(tmpdir(), "sluice-store-"));
storeConformance({
  name: "filesystem",
  open: () => openFilesystemStore(shared),
  afterwards: () => rm(shared, { recursive: true, force: true }),
});

test("of 8 processes exactly one creates a key, 200 times", async (t) => {
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  await assertOneWinnerEach(t, store, "versions/wild", program("race-program"), [folder]);
});

test("kill -9 at any moment leaves whole objects and everything that was acknowledged", async (t) => {
  const folder = await temporaryFolder(t);
  for (let round = 0; round < 6; round++) {
    const acknowledged: string[] = [];
    const child = new LineProcess(t, program("write-program"), [folder, String(round)]);
    while (acknowledged.length < 5 + round * 13) acknowledged.push((await child.hear())!);
    await child.kill();
    const store = await openFilesystemStore(folder);
    const found = await listed(store, `crash/${round}/`);
    const keys = new Set(found.map(({ key }) => key));
    for (const key of acknowledged) assert.ok(keys.has(key), `${key} was acknowledged and is gone`);
    for (const { key, sizeBytes } of found) {
      const [size, i] = key.split("/").at(-1)!.split("-").map(Number);
      assert.equal(sizeBytes, size, key);
      assert.ok(
        (await store.get(key)).every((byte) => byte === i! % 10),
        key,
      );
    }
    assert.deepEqual(await leftovers(folder), [], "the killed process left temporary files");
    await store.close();
  }
});

test("opening sweeps what dead processes left, and nothing of the living", async (t) => {
  const folder = await temporaryFolder(t);
  const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, "-");
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  const names = {
    dead: `${host}.${dead}.1`,
    living: `${host}.${process.pid}.1`,
    elsewhere: "other-host.1.1",
    old: "other-host.1.2",
  };
  for (const name of Object.values(names)) {
    await mkdir(join(folder, "~tmp", name), { recursive: true });
    await writeFile(join(folder, "~tmp", name, "0"), "half an obj");
  }
  const longAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  await utimes(join(folder, "~tmp", names.old), longAgo, longAgo);
  const store = await openFilesystemStore(folder);
  assert.deepEqual((await leftovers(folder)).sort(), [names.living, names.elsewhere].sort());
  assert.deepEqual(await listed(store, ""), []);
  await store.put("a", Buffer.from("1"));
  assert.deepEqual(await listed(store, ""), [{ key: "a", sizeBytes: 1 }]);
  await store.close();
  assert.deepEqual(
    (await leftovers(folder)).sort(),
    [names.living, names.elsewhere].sort(),
    "closing takes its own away",
  );
});

test("what is no object of the store's is not listed", async (t) => {
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  await store.put("a/b", Buffer.from("1"));
  await mkdir(join(folder, "lost+found"));
  await mkdir(join(folder, "a", "empty"));
  await writeFile(join(folder, "a", "with space"), "x");
  await symlink(join(folder, "a"), join(folder, "loop"));
  assert.deepEqual(await listed(store, ""), [{ key: "a/b", sizeBytes: 1 }]);
  assert.equal(await store.head("a"), null);
  await assert.rejects(store.get("a"), (error) => isSluiceError(error, "E_STORE_MISSING"));
  await assert.rejects(store.get("a/b/c"), (error) => isSluiceError(error, "E_STORE_MISSING"));
});

test("a key that is another key's folder is refused, not mistaken for an object", async (t) => {
  const store = await openFilesystemStore(await temporaryFolder(t));
  await store.put("a/b", Buffer.from("1"));
  for (const key of ["a", "a/b/c"]) {
    await rejects("E_STORE_IO", store.putIfAbsent(key, Buffer.from("2")));
    await rejects("E_STORE_IO", store.put(key, Buffer.from("2")));
    await rejects("E_STORE_IO", store.putStream(key, [Buffer.from("2")]));
  }
  assert.equal(Buffer.from(await store.get("a/b")).toString(), "1");
});

test("folders removed under an open store are made again", async (t) => {
  const folder = await temporaryFolder(t);
  const store = await openFilesystemStore(folder);
  await store.put("a/b/c", Buffer.from("1"));
  await rm(join(folder, "a"), { recursive: true });
  assert.equal(await store.putIfAbsent("a/b/c", Buffer.from("2")), "created");
  await rm(join(folder, "a"), { recursive: true });
  await rm(join(folder, "~tmp"), { recursive: true });
  await store.put("a/b/c", Buffer.from("3"));
  assert.equal(Buffer.from(await store.get("a/b/c")).toString(), "3");
});

test("a full disk is said to be full; what was there stays, what failed is not there", async (t) => {
  const folder = await mountedFolder(t, "size=256k");
  if (folder === null) return;
  const store = await openFilesystemStore(folder);
  await store.put("kept", Buffer.alloc(1_000, 1));
  const big = Buffer.alloc(400_000, 2);
  await rejects("E_STORE_FULL", store.putIfAbsent("big", big));
  await rejects("E_STORE_FULL", store.put("kept", big));
  await rejects("E_STORE_FULL", store.putStream("big", [big.subarray(0, 200_000), big.subarray(200_000)]));
  assert.deepEqual(await listed(store, ""), [{ key: "kept", sizeBytes: 1_000 }]);
  assert.equal((await store.get("kept"))[999], 1);
  await store.put("small", Buffer.alloc(100_000, 3)); // the failed ones gave their room back
  await store.close();
});

test("a read-only folder can be read, and says that it is read-only when written", async (t) => {
  const folder = await mountedFolder(t, "size=256k");
  if (folder === null) return;
  const before = await openFilesystemStore(folder);
  await before.put("a", Buffer.from("1"));
  await before.close();
  execFileSync("mount", ["-o", "remount,ro", folder]);
  const store = await openFilesystemStore(folder);
  assert.equal(Buffer.from(await store.get("a")).toString(), "1");
  assert.deepEqual(await listed(store, ""), [{ key: "a", sizeBytes: 1 }]);
  await rejects("E_STORE_READONLY", store.putIfAbsent("b", Buffer.from("2")));
  await rejects("E_STORE_READONLY", store.put("a", Buffer.from("2")));
  await rejects("E_STORE_READONLY", store.putStream("b", [Buffer.from("2")]));
  await rejects("E_STORE_READONLY", store.delete("a"));
  await rejects("E_STORE_READONLY", openFilesystemStore(join(folder, "new")));
});

test("a file size limit counts as a full disk", (t) => {
  if (process.platform === "win32") {
    t.skip("needs ulimit");
    return;
  }
  const script = `
    import { openFilesystemStore } from ${JSON.stringify(new URL("../../../../connectors/store/filesystem/filesystem-store.js", import.meta.url).href)};
    const store = await openFilesystemStore(process.argv[1]);
    await store.put("small", Buffer.alloc(1000));
    console.log(await store.put("big", Buffer.alloc(500_000)).catch((error) => error.code), await store.head("big"));
    await store.close();`;
  const folder = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim();
  t.after(() => rm(folder, { recursive: true }));
  const run = spawnSync(
    "sh",
    ["-c", 'ulimit -f 100 && exec "$0" --input-type=module -e "$1" "$2"', process.execPath, script, folder],
    {
      encoding: "utf8",
    },
  );
  assert.equal(run.stdout, "E_STORE_FULL null\n", run.stderr);
});

test("a place that cannot be a folder is refused in words", async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "file"), "x");
  await assert.rejects(openFilesystemStore(join(folder, "file")), (error) => {
    assert.ok(isSluiceError(error, "E_STORE_IO"));
    assert.match(messageOf(error), /file/);
    return true;
  });
});

async function leftovers(folder: string): Promise<string[]> {
  const path = join(folder, "~tmp");
  return existsSync(path) ? readdir(path) : [];
}

function program(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}

async function rejects(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isSluiceError(error, code));
}
