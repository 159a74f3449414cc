import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isAbsence, storeError } from "./file-errors.js";
import { isSegment, splitPrefix } from "../object-key.js";
import type { StoredObject } from "../store.js";

/**
 * The objects below `root` whose keys start with `prefix` and lie behind `after`, in ascending order of the key's code units. Holds the names
 * of one folder a level at a time; what comes and goes meanwhile may be met or not.
 */
export async function* listObjects(root: string, prefix: string, after = ""): AsyncGenerator<StoredObject> {
  const { folders, start } = splitPrefix(prefix);
  try {
    yield* walk(join(root, ...folders), folders.map((folder) => `${folder}/`).join(""), start, after);
  } catch (error) {
    throw storeError(error, "list", prefix, root);
  }
}

async function* walk(folder: string, keyStart: string, nameStart: string, after: string): AsyncGenerator<StoredObject> {
  for (const name of await namesIn(folder, nameStart)) {
    const key = `${keyStart}${name}`;
    if (name.endsWith("/")) {
      // A folder that sorts before may hold keys behind only where `after` names one of its own.
      if (key > after || after.startsWith(key)) yield* walk(join(folder, name), key, "", after);
      continue;
    }
    if (key <= after) continue;
    const sizeBytes = await sizeOf(join(folder, name));
    if (sizeBytes !== null) yield { key, sizeBytes };
  }
}

/** Sorted; folders with the "/" that follows them in a key, for that is where they belong in the order of keys. */
async function namesIn(folder: string, nameStart: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(folder, { bufferSize: 1024 })) {
      if (!entry.name.startsWith(nameStart) || !isSegment(entry.name)) continue;
      if (entry.isDirectory()) names.push(`${entry.name}/`);
      else if (entry.isFile()) names.push(entry.name);
    }
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return names.sort();
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}
