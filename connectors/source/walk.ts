import type { Dirent } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import { fsPath, type BytePath } from "./byte-path.js";

export interface Walked {
  /** Byte path relative to the root, `/` between names; a folder that cannot be listed ends in `/` */
  readonly path: BytePath;
  /** null for a file; the error's code where a folder cannot be listed */
  readonly unreadable: string | null;
}

export interface WalkOptions {
  /** Absolute byte path of the folder */
  readonly root: BytePath;
  /** Only what sorts after it, itself excluded */
  readonly after: BytePath | null;
  /** Absolute byte paths of folders that are left out with all that is in them */
  readonly skip: ReadonlySet<BytePath>;
  /** Called for what is neither a regular file nor a folder: links, pipes, devices */
  readonly onPassedOver?: ((path: BytePath) => void) | undefined;
}

/**
 * Every regular file under a folder, in the byte order of the whole relative path, whatever order the file system
 * lists. Follows no symbolic links; leaves out names that begin with a dot. Holds one listing a level of depth; folders
 * that lie before `after` are not listed.
 */
export async function* walk(options: WalkOptions): AsyncGenerator<Walked> {
  const { root, after, skip, onPassedOver } = options;
  /** The listings from the root down, the last name first, so that the next is popped */
  const open: { folder: BytePath; names: BytePath[] }[] = [{ folder: "", names: await namesOf("") }];
  for (let level = open[0]; level !== undefined; level = open[open.length - 1]) {
    const name = level.names.pop();
    if (name === undefined) {
      open.pop();
      continue;
    }
    const path = level.folder + name;
    if (!name.endsWith("/")) {
      if (after === null || path > after) yield { path, unreadable: null };
      continue;
    }
    // All that lies in a folder sorts between its path and the path's successor.
    if (after !== null && path < after && !after.startsWith(path)) continue;
    try {
      open.push({ folder: path, names: await namesOf(path) });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
      // A folder that was removed meanwhile has nothing to take; any other failure must be seen.
      if (code !== "ENOENT" && (after === null || path > after)) yield { path, unreadable: code };
    }
  }

  /** Names in one folder, descending; those of folders end in `/`, so that they sort as their contents do. */
  async function namesOf(folder: BytePath): Promise<BytePath[]> {
    const names: BytePath[] = [];
    const base = folder === "" ? root : `${root}/${folder.slice(0, -1)}`;
    // Node gives the names as buffers for this encoding; its types do not know.
    const listing = await opendir(fsPath(base), { encoding: "buffer" as BufferEncoding, bufferSize: 512 });
    for await (const entry of listing) {
      const name = (entry.name as unknown as Buffer).toString("latin1");
      if (name.startsWith(".")) continue;
      let kind: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean } = entry;
      if (isUntyped(entry)) {
        const found = await lstat(fsPath(`${base}/${name}`)).catch(() => null);
        if (found === null) continue;
        kind = found;
      }
      if (kind.isFile()) names.push(name);
      else if (!kind.isDirectory()) onPassedOver?.(folder + name);
      else if (!skip.has(`${base}/${name}`)) names.push(`${name}/`);
    }
    return names.sort().reverse();
  }
}

/** Some file systems list names without their kinds. */
function isUntyped(entry: Dirent): boolean {
  return !(
    entry.isFile() ||
    entry.isDirectory() ||
    entry.isSymbolicLink() ||
    entry.isFIFO() ||
    entry.isSocket() ||
    entry.isBlockDevice() ||
    entry.isCharacterDevice()
  );
}
