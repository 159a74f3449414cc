import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { cacheFolderIfAny } from "./cache-folder.js";

/** Which TensorFlow a binding is built against: the one for processors, or the one that also runs on NVIDIA's GPUs. */
export type NativeVariant = "cpu" | "gpu";
export type NativeBackend = "node" | "node-gpu";

/** What `npm run tfjs-native` builds. `revision` goes up when the way of building changes. */
export const NATIVE_RECIPE = { tfjs: "4.22.0", tensorflow: "2.16.2", revision: 1 } as const;

/** The package whose binding is built, for both variants. */
export const NATIVE_PACKAGE = "@tensorflow/tfjs-node-gpu";

/** The name of a variant's folder in the cache. */
export function nativeBuildName(variant: NativeVariant): string {
  const { tfjs, tensorflow, revision } = NATIVE_RECIPE;
  return `tfjs-native-${variant}-${tfjs}-tensorflow-${tensorflow}-${revision}`;
}

/** The name of the folder in the cache with NVIDIA's libraries, which a build for GPUs links to. */
export const CUDA_BUILD_NAME = "cuda-12.3-cudnn-8.9-1";

/** A native binding on this machine. */
export interface NativeBuild {
  /** null for an installed package: what it was built against is not known before it is loaded */
  readonly variant: NativeVariant | null;
  /** The package's folder */
  readonly folder: string;
  /** TensorFlow's version, where it is known */
  readonly tensorflow: string | null;
}

const require = createRequire(import.meta.url);

/** Every binding that this machine has for `backend`, best first. Looks at files, loads nothing. */
export function nativeBuilds(backend: NativeBackend): readonly NativeBuild[] {
  // The build for GPUs serves `node` as well, with the GPUs hidden from it.
  const variants: readonly NativeVariant[] = backend === "node-gpu" ? ["gpu"] : ["cpu", "gpu"];
  const builds: NativeBuild[] = [];
  const installed = installedPackage(`@tensorflow/tfjs-${backend}`);
  if (allowed() === null && installed !== null) builds.push({ variant: null, folder: installed, tensorflow: null });
  for (const variant of variants) {
    if (allowed() !== null && allowed() !== variant) continue;
    const build = cachedBuild(variant);
    if (build !== null) builds.push(build);
  }
  return builds;
}

/** What `npm run tfjs-native -- <variant>` has built, or null. */
export function cachedBuild(variant: NativeVariant): NativeBuild | null {
  const cache = cacheFolderIfAny();
  if (cache === null) return null;
  const folder = join(cache, nativeBuildName(variant), "node_modules", NATIVE_PACKAGE);
  return hasBinding(folder) ? { variant, folder, tensorflow: NATIVE_RECIPE.tensorflow } : null;
}

/** Why `backend` cannot run here (in words that follow "because"), or null. Looks at files, loads nothing. */
export function nativeAbsence(backend: NativeBackend): string | null {
  if (nativeBuilds(backend).length === 0) {
    const only = allowed();
    return only === null
      ? `its native binding is not built (npm run tfjs-native -- ${backend === "node" ? "cpu" : "gpu"})`
      : `SLUICE_TFJS_NATIVE=${only} leaves it no native binding`;
  }
  if (backend === "node-gpu" && !hasGpuDevice()) {
    return `its native binding is here, but no NVIDIA driver (${GPU_DEVICES.join(" or ")})`;
  }
  return null;
}

/** What the driver makes for programs to reach a GPU by; the second one under WSL. */
const GPU_DEVICES = ["/dev/nvidiactl", "/dev/dxg"] as const;

export function hasGpuDevice(): boolean {
  return GPU_DEVICES.some((path) => existsSync(path));
}

/** What of tfjs-node's own namespace is used here; the package is no dependency, so its types are not there. */
export interface NativeTfjs {
  readonly node: {
    loadSavedModel(folder: string): Promise<{
      /** Dimensions as protobuf objects, whatever the package's own types say; -1 where open */
      readonly inputs: readonly { readonly shape?: readonly { getSize(): number }[] }[];
      /** Names of the nodes by the names of the outputs, in the order in which they are returned */
      readonly outputNodeNames: Readonly<Record<string, string>>;
      /** A tensor, or an array where the model has several outputs */
      // `never`: which tensor type it is (of which copy of tfjs-core) is the caller's to say.
      predict(input: never): unknown;
      dispose(): void;
    }>;
  };
  findBackend(name: "tensorflow"): NativeKernels;
}

interface NativeKernels {
  readonly isUsingGpuDevice?: boolean;
  readonly binding?: { readonly TF_Version?: string };
}

export interface LoadedNative {
  readonly tfjs: NativeTfjs;
  readonly folder: string;
  /** TensorFlow's version as its library tells it */
  readonly tensorflow: string;
  readonly isOnGpu: boolean;
}

export interface NativeOptions {
  /** Threads inside TensorFlow's operators; by default its own choice */
  readonly threads?: number;
}

/**
 * Loads the first binding for `backend` into this process and registers its backend, `tensorflow`, with tfjs-core (whose
 * registries are the process's: every copy of the same version shares them). A process can hold one TensorFlow. Throws an Error where
 * there is none, where it does not load, and for `node-gpu` where TensorFlow sees no GPU.
 */
export function loadNativeTfjs(backend: NativeBackend, { threads }: NativeOptions = {}): LoadedNative {
  const absence = nativeAbsence(backend);
  const [build] = nativeBuilds(backend);
  if (build === undefined || absence !== null) throw new Error(absence ?? "no native binding is here");
  // TensorFlow reads these when its library is loaded; a thread's own environment does not reach it.
  if (threads !== undefined) process.env["TF_NUM_INTRAOP_THREADS"] ??= String(threads);
  process.env["TF_NUM_INTEROP_THREADS"] ??= "1";
  // The library for GPUs reports as errors that CUDA's parts are registered twice, which they always are.
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= build.variant === "cpu" ? "2" : "3";
  if (backend === "node") process.env["CUDA_VISIBLE_DEVICES"] = "-1";
  return loadBuild(build.folder, backend === "node-gpu");
}

/** Loads the binding in `folder`, a package's. Throws an Error as `loadNativeTfjs` does. */
export function loadBuild(folder: string, mustBeOnGpu: boolean): LoadedNative {
  const util = require("node:util") as { isNullOrUndefined?: (value: unknown) => boolean };
  // tfjs-node calls it, and Node 23 has removed it.
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  const tfjs = require(folder) as NativeTfjs;
  const { isUsingGpuDevice, binding } = tfjs.findBackend("tensorflow");
  const isOnGpu = isUsingGpuDevice === true;
  if (mustBeOnGpu && !isOnGpu) {
    throw new Error("TensorFlow finds no GPU that it can use; `sluice check` names the libraries that are missing");
  }
  return { tfjs, folder, tensorflow: binding?.TF_Version ?? "of an unknown version", isOnGpu };
}

/** SLUICE_TFJS_NATIVE: the only variant that may be used, or "none"; null: whatever is here. */
function allowed(): string | null {
  const value = process.env["SLUICE_TFJS_NATIVE"];
  return value === undefined || value === "" ? null : value;
}

function installedPackage(name: string): string | null {
  for (const modules of require.resolve.paths(name) ?? []) {
    const folder = join(modules, name);
    if (!existsSync(join(folder, "package.json"))) continue;
    return hasBinding(folder) ? folder : null;
  }
  return null;
}

/** The binding lies in `lib/napi-v<N>/`, N being the newest Node-API that the package knows and the runtime has. */
function hasBinding(folder: string): boolean {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) return false;
  const { binary } = JSON.parse(readFileSync(manifest, "utf8")) as { binary?: { napi_versions?: number[] } };
  return (binary?.napi_versions ?? []).some((version) =>
    existsSync(join(folder, "lib", `napi-v${version}`, "tfjs_binding.node")),
  );
}
