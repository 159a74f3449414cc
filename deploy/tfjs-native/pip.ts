import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { run } from "../local/command.js";
import type { Report } from "../local/cache.js";
import type { Wheel } from "./wheels.js";

/** What runs pip and unpacks wheels: $SLUICE_PYTHON, else python3. */
export function python(): string {
  return process.env["SLUICE_PYTHON"] ?? "python3";
}

export interface Doing {
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/** Throws E_SERVICE where Python has no pip. */
export async function requirePip(folder: string, { signal }: Doing): Promise<void> {
  const doing = "asking for pip";
  await run(python(), ["-m", "pip", "--version"], { folder, doing, ...given(signal) }).catch((cause: unknown) => {
    throw new SluiceError(
      "E_SERVICE",
      `Expected pip for ${python()}, found none: ${messageOf(cause)}\n` +
        "Install it (apt-get install python3-pip, or python3 -m ensurepip), or name another Python in SLUICE_PYTHON.",
      { cause },
    );
  });
}

/**
 * Downloads a wheel into `folder` with pip (so that pip's own settings hold: index, proxy, PIP_FIND_LINKS) and returns its
 * path once its SHA-256 is the pinned one. Throws E_SERVICE, having removed a wheel that is another.
 */
export async function fetchWheel(wheel: Wheel, folder: string, { report, signal }: Doing): Promise<string> {
  const { project, version, sha256 } = wheel;
  await mkdir(folder, { recursive: true });
  const doing = `fetching ${project} ${version}`;
  const platforms = ["manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"];
  const args = [
    ...["-m", "pip", "download", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-deps"],
    ...[
      "--only-binary",
      ":all:",
      "--implementation",
      "cp",
      "--python-version",
      "3.11",
      "--abi",
      "cp311",
      "--abi",
      "none",
    ],
    ...platforms.flatMap((platform) => ["--platform", platform]),
    ...["--retries", "2", "--timeout", "20", "--dest", folder, `${project}==${version}`],
  ];
  await run(python(), args, { folder, doing, report, ...given(signal) }).catch((cause: unknown) => {
    throw new SluiceError(
      "E_SERVICE",
      `Expected to fetch ${project} ${version} with pip, found: ${messageOf(cause)}\n` +
        "Is a package index reachable? Name a mirror in PIP_INDEX_URL; without a network, put the wheel into a folder and set PIP_NO_INDEX=1 PIP_FIND_LINKS=<that folder>.",
      { cause },
    );
  });
  const prefix = `${project.replaceAll("-", "_")}-${version}-`;
  const name = (await readdir(folder)).find((file) => file.startsWith(prefix) && file.endsWith(".whl"));
  if (name === undefined) {
    throw new SluiceError("E_SERVICE", `Expected pip to leave ${prefix}….whl in ${folder}, found no such file.`);
  }
  const path = join(folder, name);
  const found = await sha256Of(path);
  if (found === sha256) return path;
  await rm(path, { force: true });
  throw new SluiceError(
    "E_SERVICE",
    `Expected ${name} to have SHA-256 ${sha256}, found ${found}. It was removed and nothing was built: the download is damaged, or the index serves another file under that name.`,
    { expected: sha256, found },
  );
}

const UNPACK = `
import sys, zipfile
wheel, folder, *prefixes = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [name for name in archive.namelist() if name.startswith(tuple(prefixes))])
`;

/** Unpacks a wheel's members whose names start with one of `prefixes` into `folder`. Throws E_SERVICE. */
export async function unpackWheel(
  path: string,
  folder: string,
  prefixes: readonly string[],
  { report, signal }: Doing,
): Promise<void> {
  const doing = "unpacking";
  await mkdir(folder, { recursive: true });
  await run(python(), ["-c", UNPACK, path, folder, ...prefixes], { folder, doing, report, ...given(signal) });
}

/** `exactOptionalPropertyTypes` tells an absent signal from an undefined one. */
export function given(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
