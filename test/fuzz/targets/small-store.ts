import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { CommandFolder } from "../../fixtures/command-folder.js";

export interface SmallStore {
  readonly folder: CommandFolder;
  /** By key */
  readonly objects: ReadonlyMap<string, Uint8Array>;
}

/** A data folder with objects of every kind, below `folder`: a run and a tail, kept bytes, labels, tags, versions, a checkpoint. */
export async function smallStore(folder: string): Promise<SmallStore> {
  const made = await CommandFolder.make({
    images: 24,
    duplicates: 2,
    broken: 1,
    classes: 4,
    datasets: "[{ name: few, select: { k: 4, p: 1 } }]\nbytes: keep",
  });
  await mkdir(folder, { recursive: true });
  await cp(made.path, join(folder, "site"), { recursive: true });
  await made.remove();
  const site = CommandFolder.at(join(folder, "site"));
  for (const args of [
    ["ingest", "pictures"],
    ["compact"],
    ["versions", "tag", "few/1", "good"],
    ["gc", "--yes"],
    ["pause"],
    ["resume"],
  ]) {
    const { code, out, err } = await site.sluice(...args);
    if (code !== 0) throw new Error(`sluice ${args.join(" ")}: ${out}${err}`);
  }
  const store = site.stored();
  const objects = new Map<string, Uint8Array>();
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    objects.set(relative(store, path), await readFile(path));
  }
  await rm(join(site.path, "pictures"), { recursive: true });
  return { folder: site, objects };
}
