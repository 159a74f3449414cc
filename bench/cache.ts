import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Where peers and made data lie: $SLUICE_CACHE, or ~/.cache/sluice-bench. */
export function cacheFolder(): string {
  return process.env.SLUICE_CACHE ?? join(homedir(), ".cache", "sluice-bench");
}

/** A folder of the cache, made by `make` in another place first, so that one that exists is whole. */
export async function cached(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return folder;
  const making = `${folder}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { recursive: true });
  await make(making);
  await rename(making, folder);
  return folder;
}

/** The repository's folder: the first above this file that has a package.json. */
export function repositoryFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
