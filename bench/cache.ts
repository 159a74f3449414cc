import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
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

/** The compiled code that says how archived rows, runs and packs are written, and the benchmarks' own that writes them */
const FORMAT_FOLDERS = ["schemas", "operators/archive", "operators/pack", "bench"];

/**
 * A folder of the cache with objects of this code's format: another code makes it anew, and takes away what the last one made. Without it a
 * cache that outlives a change of format gives this code objects that it cannot read.
 */
export async function cachedArchive(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = `${name}-of-${formatDigest()}`;
  const last = existsSync(cacheFolder()) ? await readdir(cacheFolder()) : [];
  for (const other of last) {
    if (other.startsWith(`${name}-of-`) && other !== folder) await rm(join(cacheFolder(), other), { recursive: true });
  }
  return cached(folder, make);
}

function formatDigest(): string {
  const hash = createHash("sha256");
  for (const folder of FORMAT_FOLDERS) {
    const path = join(import.meta.dirname, "..", folder);
    const files = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
    for (const file of files.sort()) hash.update(`${file}\n`).update(readFileSync(join(path, file)));
  }
  return hash.digest("hex").slice(0, 12);
}

/** The repository's folder: the first above this file that has a package.json. */
export function repositoryFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
