import { copyFile, mkdir, rename, rm, statfs, symlink } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../connectors/cache-folder.js";
import { CUDA_BUILD_NAME, NATIVE_PACKAGE, nativeBuildName, type NativeVariant } from "../../connectors/native-tfjs.js";
import { packageFile } from "../../cli/package-root.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { cachedFolder } from "../local/cache.js";
import { run } from "../local/command.js";
import { requirePrograms } from "../local/local-service.js";
import { fetchWheel, given, python, requirePip, unpackWheel, type Doing } from "./pip.js";
import { CUDA, TENSORFLOW, type Wheel } from "./wheels.js";

/** Free disk that a build needs while it runs, in bytes: the wheel, what is unpacked of it, and the npm packages */
const NEEDED_BYTES = { cpu: 1.5e9, gpu: 2.5e9, cuda: 4e9 } as const;
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;
const TRY_PROGRAM = fileURLToPath(new URL("./try-binding.js", import.meta.url));

/**
 * The folder in the cache with the binding of `variant`; builds it where it is not there yet, from the npm package's own sources
 * and the C library of a TensorFlow wheel. Found by the engines through `nativeBuilds`. Throws E_SERVICE.
 */
export async function buildNative(
  variant: NativeVariant,
  doing: Doing,
  wheel: Wheel = TENSORFLOW[variant],
): Promise<string> {
  requirePlatform();
  return cachedFolder(
    nativeBuildName(variant),
    async (folder) => {
      await requirePrograms("build the native TensorFlow.js", [python(), "g++", "npm"]);
      await requirePip(folder, doing);
      await requireRoom(folder, NEEDED_BYTES[variant]);
      const { report } = doing;
      report(`1/4 fetching ${wheel.project} ${wheel.version} (${variant === "cpu" ? "214" : "591"} MB)`);
      const path = await fetchWheel(wheel, join(folder, "wheel"), doing);
      report("2/4 installing the npm packages, without their install scripts");
      const target = await installPackage(folder, doing);
      report("3/4 unpacking TensorFlow, compiling the binding");
      await unpackTensorflow(path, target, doing);
      await compile(target, folder, doing);
      report("4/4 loading it");
      await linkCuda(target, folder);
      await tryBinding(target, doing);
      await rm(join(folder, "wheel"), { recursive: true });
    },
    doing.report,
  );
}

/** The folder in the cache with NVIDIA's libraries for the build for GPUs; fetched where it is not there. Throws E_SERVICE. */
export async function fetchCuda(doing: Doing, wheels: readonly Wheel[] = CUDA): Promise<string> {
  requirePlatform();
  return cachedFolder(
    CUDA_BUILD_NAME,
    async (folder) => {
      await requirePrograms("fetch NVIDIA's libraries", [python()]);
      await requirePip(folder, doing);
      await requireRoom(folder, NEEDED_BYTES.cuda);
      const downloads = join(folder, "wheel");
      for (const [at, wheel] of wheels.entries()) {
        doing.report(`${at + 1}/${wheels.length} ${wheel.project} ${wheel.version}`);
        const path = await fetchWheel(wheel, downloads, doing);
        await unpackWheel(path, folder, ["nvidia/"], doing);
        await rm(path);
      }
      await rm(downloads, { recursive: true });
    },
    doing.report,
  );
}

function requirePlatform(): void {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const { platform, arch } = process;
  if (platform === "linux" && arch === "x64" && header.glibcVersionRuntime !== undefined) return;
  throw new SluiceError(
    "E_SERVICE",
    `Expected Linux on x64 with glibc for the native TensorFlow.js, found ${platform} on ${arch}${platform === "linux" ? " with another C library" : ""}. ` +
      "Use the wasm backend, or an ONNX model, which run everywhere.",
    { platform, arch },
  );
}

async function requireRoom(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new SluiceError(
    "E_SERVICE",
    `Expected ${(neededBytes / 1e9).toFixed(1)} GB free in ${cacheFolder()}, found ${(freeBytes / 1e9).toFixed(1)} GB. Free some, or name another place in SLUICE_CACHE.`,
    { neededBytes, freeBytes },
  );
}

/** Installs from the lock file in `install/`, whose digests npm checks. Returns the package's folder. */
async function installPackage(folder: string, { report, signal }: Doing): Promise<string> {
  for (const name of ["package.json", "package-lock.json"]) {
    await copyFile(packageFile(join("deploy", "tfjs-native", "install", name)), join(folder, name));
  }
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", `--prefix=${folder}`];
  await run("npm", args, { folder, doing: "installing the npm packages", report, ...given(signal) }).catch(
    (cause: unknown) => {
      throw new SluiceError(
        "E_SERVICE",
        `Expected to install ${NATIVE_PACKAGE} with npm, found: ${messageOf(cause)}\nIs the npm registry reachable? \`npm config get registry\` says which one is asked.`,
        { cause },
      );
    },
  );
  // Source maps are two thirds of it, and a running program reads none.
  const modules = join(folder, "node_modules");
  for (const file of readdirSync(modules, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".js.map")) await rm(join(modules, file));
  }
  return join(modules, NATIVE_PACKAGE);
}

async function unpackTensorflow(wheel: string, target: string, doing: Doing): Promise<void> {
  const unpacked = join(target, "unpacked");
  const members = LIBRARIES.map((name) => `tensorflow/${name}`);
  await unpackWheel(wheel, unpacked, [...members, "tensorflow/include/tensorflow/", "tensorflow/include/tsl/"], doing);
  await mkdir(join(target, "deps", "lib"), { recursive: true });
  for (const name of LIBRARIES) await rename(join(unpacked, "tensorflow", name), join(target, "deps", "lib", name));
  await rename(join(unpacked, "tensorflow", "include"), join(target, "deps", "include"));
  await rm(unpacked, { recursive: true });
}

async function compile(target: string, folder: string, { report, signal }: Doing): Promise<void> {
  const output = join("lib", "napi-v8", "tfjs_binding.node");
  await mkdir(join(target, "lib", "napi-v8"), { recursive: true });
  const args = [
    ...["-O2", "-shared", "-fPIC", "-std=c++17", "-DNAPI_VERSION=8"],
    ...[`-I${join(folder, "node_modules", "node-api-headers", "include")}`, "-I.", "-Ideps/include"],
    ...["binding/tfjs_backend.cc", "binding/tfjs_binding.cc", "-o", output, "-Ldeps/lib"],
    ...LIBRARIES.map((name) => `-l:${name}`),
    "-Wl,-rpath,$ORIGIN/../../deps/lib",
  ];
  await run("g++", args, { folder: target, doing: "compiling the binding", report, ...given(signal) });
  await rm(join(target, "deps", "include"), { recursive: true });
}

/**
 * TensorFlow looks for NVIDIA's libraries in `../nvidia` beside its own folder. The link leads nowhere until `fetchCuda` has
 * run; it may be replaced by one to any folder of the same shape.
 */
async function linkCuda(target: string, folder: string): Promise<void> {
  const deps = join(target, "deps");
  // The build's folder is renamed within the cache, so that a relative link stays right.
  await symlink(join(relative(deps, folder), "..", CUDA_BUILD_NAME, "nvidia"), join(deps, "nvidia"));
}

async function tryBinding(target: string, { report, signal }: Doing): Promise<void> {
  const doing = "loading the binding";
  const said = await run(process.execPath, [TRY_PROGRAM, target], { folder: target, doing, report, ...given(signal) });
  report(said.trim());
}
