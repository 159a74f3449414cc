import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { buildNative } from "../../../deploy/tfjs-native/build.js";
import { fetchWheel, unpackWheel } from "../../../deploy/tfjs-native/pip.js";
import type { Wheel } from "../../../deploy/tfjs-native/wheels.js";
import { isSluiceError } from "../../../schemas/errors.js";

const MAIN = fileURLToPath(new URL("../../../deploy/tfjs-native/main.js", import.meta.url));
const python = process.env["SLUICE_PYTHON"] ?? "python3";
const havePip = spawnSync(python, ["-m", "pip", "--version"]).status === 0;
const onLinux = process.platform === "linux" && process.arch === "x64";
const skip = !havePip ? `${python} has no pip` : !onLinux ? "the binding is built on Linux x64 only" : false;

const quiet = { report: (): void => undefined };

/** Sets variables, and a cache of its own, for one test. */
async function setUp(t: TestContext, variables: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-tfjs-native-"));
  const all = { SLUICE_CACHE: join(folder, "cache"), ...variables };
  const earlier = Object.keys(all).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, all);
  t.after(async () => {
    for (const [name, value] of earlier) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await rm(folder, { recursive: true });
  });
  return folder;
}

/** A wheel that pip accepts, with a library and a file beside it. Returns its SHA-256. */
async function layDownWheel(folder: string, { project, version }: Pick<Wheel, "project" | "version">): Promise<string> {
  const name = project.replaceAll("-", "_");
  const path = join(folder, `${name}-${version}-cp311-cp311-manylinux2014_x86_64.whl`);
  const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("tensorflow/libwanted.so.2", b"wanted")
    wheel.writestr("tensorflow/other.py", b"")
    info = "${name}-${version}.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: ${project}\\nVersion: ${version}\\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: false\\nTag: cp311-cp311-manylinux2014_x86_64\\n")
    wheel.writestr(info + "RECORD", "")
`;
  execFileSync(python, ["-c", script, path]);
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

const serviceError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isSluiceError(error, "E_SERVICE"), String(error));
  assert.match(error.message, pattern);
  return true;
};

describe("fetching wheels", { skip }, () => {
  test("a wheel with the pinned digest is fetched, and only what is asked for is unpacked", async (t) => {
    const folder = await setUp(t, { PIP_NO_INDEX: "1" });
    process.env["PIP_FIND_LINKS"] = folder;
    t.after(() => Reflect.deleteProperty(process.env, "PIP_FIND_LINKS"));
    const wheel = { project: "sluice-trial", version: "1.2.3" };
    const sha256 = await layDownWheel(folder, wheel);
    const path = await fetchWheel({ ...wheel, sha256 }, join(folder, "downloads"), quiet);
    await unpackWheel(path, join(folder, "unpacked"), ["tensorflow/lib"], quiet);
    assert.deepEqual(await readdir(join(folder, "unpacked", "tensorflow")), ["libwanted.so.2"]);
    assert.equal(await readFile(join(folder, "unpacked", "tensorflow", "libwanted.so.2"), "utf8"), "wanted");
  });

  test("a wheel with another digest is removed, both digests are named, and nothing is built", async (t) => {
    const folder = await setUp(t, { PIP_NO_INDEX: "1" });
    process.env["PIP_FIND_LINKS"] = folder;
    t.after(() => Reflect.deleteProperty(process.env, "PIP_FIND_LINKS"));
    const wheel = { project: "sluice-trial", version: "1.2.3" };
    const sha256 = await layDownWheel(folder, wheel);
    const pinned = "0".repeat(64);
    await assert.rejects(
      buildNative("cpu", quiet, { ...wheel, sha256: pinned }),
      serviceError(new RegExp(`SHA-256 ${pinned}, found ${sha256}`)),
    );
    assert.deepEqual(await readdir(join(folder, "cache")), []);
  });

  test("an index that cannot be reached is said to be that, with what to do", async (t) => {
    const folder = await setUp(t, { PIP_INDEX_URL: "http://127.0.0.1:9/simple", PIP_NO_INDEX: "" });
    const wheel = { project: "sluice-trial", version: "1.2.3", sha256: "0".repeat(64) };
    await assert.rejects(
      fetchWheel(wheel, join(folder, "downloads"), quiet),
      serviceError(/fetch sluice-trial 1\.2\.3 with pip, found[^]*PIP_INDEX_URL[^]*PIP_FIND_LINKS/),
    );
  });

  test("a Python without pip, and a machine without a compiler, are told apart", async (t) => {
    const folder = await setUp(t);
    const bare = join(folder, "bare-python");
    // Without site-packages, as a Python without pip is.
    await writeFile(bare, `#!/bin/sh\nexec ${python} -I -S "$@"\n`);
    await chmod(bare, 0o755);
    const tools = join(folder, "tools");
    await mkdir(tools);
    for (const program of ["g++", "npm", "bare-python"]) {
      await writeFile(join(tools, program), `#!/bin/sh\nexec ${python} -I -S "$@"\n`);
      await chmod(join(tools, program), 0o755);
    }
    const path = process.env["PATH"] ?? "";
    process.env["SLUICE_PYTHON"] = "bare-python";
    t.after(() => {
      process.env["PATH"] = path;
      if (python === "python3") Reflect.deleteProperty(process.env, "SLUICE_PYTHON");
      else process.env["SLUICE_PYTHON"] = python;
    });
    process.env["PATH"] = `${tools}:${path}`;
    await assert.rejects(buildNative("cpu", quiet), serviceError(/pip for bare-python, found none[^]*SLUICE_PYTHON/));
    await rm(join(tools, "g++"));
    process.env["PATH"] = tools;
    await assert.rejects(buildNative("cpu", quiet), serviceError(/found no g\+\+/));
  });
});

describe("npm run tfjs-native", { skip }, () => {
  test("stopped while it downloads, it ends with 130 and leaves nothing half built", async (t) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const index = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/simple`;
    const folder = await setUp(t, { PIP_INDEX_URL: index, PIP_NO_INDEX: "" });
    const child = spawn(process.execPath, [MAIN, "cpu"], { stdio: ["ignore", "pipe", "inherit"] });
    await once(silent, "connection");
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 130);
    assert.deepEqual(await readdir(join(folder, "cache")), []);
  });

  test("without a name, or with another, it says which there are", () => {
    for (const args of [[], ["tpu"]]) {
      const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
      assert.equal(status, 2);
      assert.match(stderr, /^Expected cpu, gpu or cuda, found (nothing|tpu)\./);
    }
    assert.equal(spawnSync(process.execPath, [MAIN, "--help"]).status, 0);
  });
});
