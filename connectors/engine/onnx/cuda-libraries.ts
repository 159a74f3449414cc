import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { hasGpuDevice } from "../../native-tfjs.js";

/** A library that a program needs at run time. */
export interface LibraryNeed {
  /** Its soname, as the loader asks for it */
  readonly name: string;
  /** What brings it, for a message */
  readonly partOf: string;
}

/** A need, and where it was found: null with the loader's own words where it was not. */
export interface LibraryState extends LibraryNeed {
  readonly path: string | null;
  readonly reason: string | null;
}

/** What TensorFlow 2.16 for GPUs opens before it uses one (CUDA 12.3, cuDNN 8.9); missing ones leave it on the processor. */
export const TENSORFLOW_NEEDS: readonly LibraryNeed[] = [
  { name: "libcuda.so.1", partOf: "NVIDIA's driver" },
  { name: "libcudart.so.12", partOf: "CUDA 12" },
  { name: "libcublas.so.12", partOf: "CUDA 12" },
  { name: "libcublasLt.so.12", partOf: "CUDA 12" },
  { name: "libcufft.so.11", partOf: "CUDA 12" },
  { name: "libcusolver.so.11", partOf: "CUDA 12" },
  { name: "libcusparse.so.12", partOf: "CUDA 12" },
  { name: "libcudnn.so.8", partOf: "cuDNN 8.9" },
];

// dlopen succeeds on a plain library too; Node then refuses it for being no add-on, in words of its own.
const PROBE = `
const { constants } = require("node:os");
const states = JSON.parse(process.argv[1]).map(({ name, candidates }) => {
  let reason = null;
  for (const path of candidates) {
    try {
      process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_LAZY);
      return { name, path, reason: null };
    } catch (error) {
      if (/did not self-register/.test(error.message)) return { name, path, reason: null };
      reason ??= error.message;
    }
  }
  return { name, path: null, reason };
});
process.stdout.write(JSON.stringify(states));
`;

/**
 * Opens each library in a process of its own, as the program itself would: from the folders `<nvidia>/<part>/lib` (the shape of NVIDIA's wheels)
 * first, then by the system's search path (LD_LIBRARY_PATH, ldconfig).
 */
export async function probeLibraries(needs: readonly LibraryNeed[], nvidia: string | null): Promise<LibraryState[]> {
  const folders =
    nvidia === null || !existsSync(nvidia)
      ? []
      : readdirSync(nvidia)
          .map((part) => join(nvidia, part, "lib"))
          .filter((folder) => existsSync(folder));
  const asked = needs.map(({ name }) => ({
    name,
    candidates: [...folders.map((folder) => join(folder, name)).filter((path) => existsSync(path)), name],
  }));
  const args = ["-e", PROBE, JSON.stringify(asked)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  const states = JSON.parse(stdout) as { path: string | null; reason: string | null }[];
  return needs.map((need, at) => ({ ...need, path: states[at]?.path ?? null, reason: states[at]?.reason ?? null }));
}

/**
 * The libraries that a file is linked with, directly or not, and that the loader does not find, by `ldd`. Empty where there is no
 * ldd (not Linux).
 */
export async function unresolvedBy(file: string): Promise<string[]> {
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)("ldd", [file], { timeout: 60_000 }));
  } catch (error) {
    // ldd exits with 1 for a file that is linked with nothing.
    const { code } = error as { readonly code?: unknown };
    if (code !== "ENOENT" && code !== 1) throw error;
    return [];
  }
  return [...stdout.matchAll(/^\s*(\S+) => not found$/gm)].map((match) => match[1]!);
}

/** What to do about missing libraries, one sentence. */
export function remedyFor(missing: readonly LibraryState[]): string {
  const driver = missing.some(({ name }) => name === "libcuda.so.1");
  const others = missing.some(({ name }) => name !== "libcuda.so.1");
  return [
    ...(driver
      ? [
          hasGpuDevice()
            ? "make the driver's libcuda.so.1 visible here (in a container: --gpus all)"
            : "install NVIDIA's driver on a machine with a GPU",
        ]
      : []),
    ...(others
      ? ["fetch NVIDIA's libraries with `npm run tfjs-native -- cuda`, or install CUDA 12 and cuDNN 8.9"]
      : []),
  ].join("; ");
}
