import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cachedFolder } from "../../../deploy/local/cache.js";
import { missingPrograms, run } from "../../../deploy/local/command.js";
import { isSluiceError } from "../../../schemas/errors.js";

let cache: string;
const earlier = process.env["SLUICE_CACHE"];

before(async () => {
  cache = await mkdtemp(join(tmpdir(), "sluice-cache-test-"));
  process.env["SLUICE_CACHE"] = cache;
});

after(async () => {
  if (earlier === undefined) delete process.env["SLUICE_CACHE"];
  else process.env["SLUICE_CACHE"] = earlier;
  await rm(cache, { recursive: true });
});

const quiet = (): void => undefined;

test("builders that come at the same time build once and get the same whole folder", async () => {
  let builds = 0;
  const build = async (folder: string): Promise<void> => {
    builds++;
    await writeFile(join(folder, "first"), "1");
    await sleep(700);
    await writeFile(join(folder, "second"), "2");
  };
  const folders = await Promise.all(Array.from({ length: 4 }, () => cachedFolder("once", build, quiet)));
  assert.equal(builds, 1);
  assert.deepEqual(new Set(folders), new Set([join(cache, "once")]));
  assert.deepEqual((await readdir(join(cache, "once"))).sort(), ["first", "second"]);
  await cachedFolder("once", build, quiet);
  assert.equal(builds, 1);
});

test("a build that fails leaves nothing behind and the next one may succeed", async () => {
  const failing = cachedFolder(
    "failing",
    async (folder) => {
      await writeFile(join(folder, "half"), "");
      throw new Error("the network is away");
    },
    quiet,
  );
  await assert.rejects(failing, /network is away/);
  assert.deepEqual(
    (await readdir(cache)).filter((name) => name.includes("failing")),
    [],
  );
  const folder = await cachedFolder("failing", (partial) => writeFile(join(partial, "whole"), "yes"), quiet);
  assert.equal(await readFile(join(folder, "whole"), "utf8"), "yes");
});

test("the lock of a builder that died is taken over", async () => {
  const lock = join(cache, "orphaned.lock");
  await writeFile(lock, "a builder that is no more");
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(lock, longAgo, longAgo);
  const folder = await cachedFolder("orphaned", (partial) => writeFile(join(partial, "whole"), "yes"), quiet);
  assert.deepEqual(await readdir(folder), ["whole"]);
  assert.deepEqual(
    (await readdir(cache)).filter((name) => name.endsWith(".lock")),
    [],
  );
});

test("a second builder that wins the rename costs the first nothing", async () => {
  const folder = await cachedFolder(
    "raced",
    async (partial) => {
      await writeFile(join(partial, "mine"), "");
      await mkdir(join(cache, "raced"));
      await writeFile(join(cache, "raced", "theirs"), "");
    },
    quiet,
  );
  assert.deepEqual(await readdir(folder), ["theirs"]);
});

test("programs that are not installed are named", async () => {
  assert.deepEqual(await missingPrograms(["sh", "no-such-program-here"]), ["no-such-program-here"]);
});

test("a command's failure carries its last words", async () => {
  await assert.rejects(
    run("sh", ["-c", "echo out; echo the reason >&2; exit 3"], { folder: cache, doing: "trying" }),
    (error) => {
      assert.ok(isSluiceError(error, "E_SERVICE"));
      assert.match(error.message, /trying.*found 3[^]*the reason/);
      return true;
    },
  );
  await assert.rejects(
    run("no-such-program-here", [], { folder: cache, doing: "trying" }),
    (error) => isSluiceError(error, "E_SERVICE") && error.message.includes("no-such-program-here"),
  );
  assert.equal(await run("cat", [], { folder: cache, doing: "echoing", input: "through" }), "through");
});
