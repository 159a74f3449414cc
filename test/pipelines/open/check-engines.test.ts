import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  probeLibraries,
  remedyFor,
  unresolvedBy,
  type LibraryState,
} from "../../../connectors/engine/onnx/cuda-libraries.js";
import { hasGpuDevice, NATIVE_PACKAGE, nativeAbsence, nativeBuildName } from "../../../connectors/native-tfjs.js";
import { engineLines } from "../../../pipelines/open/check-engines.js";
import type { CheckLine } from "../../../pipelines/check.js";
import { engineSchema, type EngineConfig } from "../../../schemas/config.js";

const onLinux = process.platform === "linux" ? false : "shared libraries are looked for on Linux only";

/** Runs with a cache of its own, and whatever is built in it. */
async function emptyCache(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-check-engines-"));
  const earlier = { SLUICE_CACHE: process.env["SLUICE_CACHE"], SLUICE_TFJS_NATIVE: process.env["SLUICE_TFJS_NATIVE"] };
  process.env["SLUICE_CACHE"] = folder;
  delete process.env["SLUICE_TFJS_NATIVE"];
  t.after(async () => {
    for (const [name, value] of Object.entries(earlier)) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await rm(folder, { recursive: true });
  });
  return folder;
}

async function linesOf(engine: EngineConfig | null): Promise<CheckLine[]> {
  const lines: CheckLine[] = [];
  for await (const line of engineLines(engine)) lines.push(line);
  return lines;
}

/** The files that show a binding for GPUs to be built, without one: nothing here loads it. */
async function layDownGpuBuild(cache: string): Promise<string> {
  const folder = join(cache, nativeBuildName("gpu"), "node_modules", NATIVE_PACKAGE);
  await mkdir(join(folder, "lib", "napi-v8"), { recursive: true });
  await writeFile(join(folder, "package.json"), JSON.stringify({ binary: { napi_versions: [3, 8] } }));
  await writeFile(join(folder, "lib", "napi-v8", "tfjs_binding.node"), "");
  return folder;
}

test("without a native binding the line says how to build one, for people and for programs", async (t) => {
  await emptyCache(t);
  const native = (await linesOf(null)).find(({ subject }) => subject === "native tfjs");
  assert.equal(native?.state, "ok");
  assert.match(native.message, /^not built; .*npm run tfjs-native -- cpu/);
  assert.deepEqual(native.facts, { builds: [] });
  assert.match(nativeAbsence("node")!, /not built \(npm run tfjs-native -- cpu\)/);
});

test("a build for GPUs serves both backends; SLUICE_TFJS_NATIVE leaves it out", async (t) => {
  const folder = await layDownGpuBuild(await emptyCache(t));
  assert.equal(nativeAbsence("node"), null);
  assert.equal(nativeAbsence("node-gpu") === null, hasGpuDevice());
  const native = (await linesOf(null)).find(({ subject }) => subject === "native tfjs");
  assert.deepEqual(native?.facts, { builds: [{ variant: "gpu", folder, tensorflow: "2.16.2" }] });
  process.env["SLUICE_TFJS_NATIVE"] = "none";
  assert.match(nativeAbsence("node")!, /SLUICE_TFJS_NATIVE=none/);
});

test("every CUDA library that is missing is named, with what brings it", { skip: onLinux }, async (t) => {
  if (hasGpuDevice()) {
    t.skip("this machine has a GPU, and what else it has is not known here");
    return;
  }
  await layDownGpuBuild(await emptyCache(t));
  const of = async (members: object): Promise<CheckLine> =>
    (await linesOf(engineSchema.parse(members))).find(({ subject }) => subject === "cuda")!;
  const line = await of({});
  assert.equal(line.state, "warn");
  assert.match(line.message, /node-gpu lacks .*libcuda\.so\.1 \(NVIDIA's driver\)/);
  const { libraries } = line.facts as { libraries: LibraryState[] };
  for (const { name, partOf, path } of libraries) {
    assert.equal(line.message.includes(`${name} (${partOf})`), path === null);
  }
  const asked = await of({ kind: "tfjs", backend: "node-gpu" });
  assert.deepEqual([asked.state, asked.code], ["fail", "E_ENGINE_UNAVAILABLE"]);
  assert.equal((await of({ kind: "tfjs", backend: "node-gpu", allowFallback: true })).state, "warn");
});

test(
  "libraries are found by the system's path and in NVIDIA's folders, or not, with the reason",
  { skip: onLinux },
  async (t) => {
    const folder = await emptyCache(t);
    const lib = join(folder, "broken", "lib");
    await mkdir(lib, { recursive: true });
    await writeFile(join(lib, "libbroken.so.3"), "no library at all");
    const needs = ["libm.so.6", "libbroken.so.3", "libabsent-sluice.so.1"].map((name) => ({ name, partOf: "a test" }));
    const [math, broken, absent] = await probeLibraries(needs, folder);
    assert.deepEqual(math, { ...needs[0], path: "libm.so.6", reason: null });
    assert.equal(broken!.path, null);
    assert.match(broken!.reason!, /libbroken\.so\.3/);
    assert.match(absent!.reason!, /libabsent-sluice\.so\.1.*(cannot open|No such file)/);
    assert.match(remedyFor([absent!]), /npm run tfjs-native -- cuda/);
    assert.deepEqual(await unresolvedBy(process.execPath), []);
  },
);
