import type { Dirent } from "node:fs";
import { lstat, opendir, realpath, stat } from "node:fs/promises";
import type { PassedOverReason } from "../../schemas/source-account.js";
import type { Account } from "./account.js";
import { fsPath, shownPath, type BytePath } from "./byte-path.js";
import { sidecarStems, stemOf, tellsRights } from "./sidecar.js";
import { ABSENT } from "../stat-if-there.js";
import { orNull, codeOf } from "../../schemas/errors.js";

export interface Walked {
  /** Byte path relative to the root, `/` between names; a folder that cannot be listed ends in `/` */
  readonly path: BytePath;
  /** null for a file; the error's code where a folder cannot be listed */
  readonly unreadable: string | null;
  /** The file beside it that may tell its rights (see sidecar.ts), relative to the root as well; null where there is none */
  readonly sidecar: BytePath | null;
}

export interface WalkOptions {
  /** Absolute byte path of the folder */
  readonly root: BytePath;
  /** Only what sorts after it, itself excluded */
  readonly after: BytePath | null;
  /** Absolute byte paths of folders that are left out with all that is in them */
  readonly skip: ReadonlySet<BytePath>;
  /** Links are taken for what they lead to. One that leads to a folder that it lies in is passed over. */
  readonly followLinks?: boolean | undefined;
  /** Absolute real byte path: links that lead out of this folder are passed over */
  readonly linksWithin?: BytePath | undefined;
  /** Where what is passed over is counted; what is yielded is the caller's to count */
  readonly account?: Account | undefined;
}

interface Level {
  readonly folder: BytePath;
  /** The last name first, so that the next is popped */
  readonly names: BytePath[];
  /** Names of files that may tell rights, by their stem */
  readonly sidecars: ReadonlyMap<BytePath, BytePath>;
  /** Device and inode, where links are followed */
  readonly identity: string | null;
}

/** What a folder has below it that Sluice keeps its data in. */
const DATA_FOLDER = ["log/data.mdb", "store"];

/**
 * Every file under a folder, in the byte order of the whole relative path, whatever order the file system lists. Leaves out names that
 * begin with a dot, Sluice's own data folders, and links unless they are followed. Holds one listing a level of depth; folders that lie
 * before `after` are not listed.
 */
export async function* walk(options: WalkOptions): AsyncGenerator<Walked> {
  const { root, after, skip, followLinks = false, linksWithin, account } = options;
  const open: Level[] = [await levelOf("", await identityAt(""))];
  for (let level = open[0]; level !== undefined; level = open[open.length - 1]) {
    const name = level.names.pop();
    if (name === undefined) {
      open.pop();
      continue;
    }
    const path = level.folder + name;
    if (!name.endsWith("/")) {
      if (after !== null && path <= after) continue;
      const stem = sidecarStems(name).find((each) => level.sidecars.has(each));
      const sidecar = stem === undefined ? null : level.folder + level.sidecars.get(stem)!;
      yield { path, unreadable: null, sidecar };
      continue;
    }
    // All that lies in a folder sorts between its path and the path's successor.
    if (after !== null && path < after && !after.startsWith(path)) continue;
    try {
      const identity = await identityAt(path);
      if (identity !== null && open.some((each) => each.identity === identity)) passOver("loop", path);
      else if (await isDataFolder(path)) passOver("ownFolder", path);
      else open.push(await levelOf(path, identity));
    } catch (error) {
      const code = codeOf(error) ?? "unknown error";
      // A folder that was removed meanwhile has nothing to take; any other failure must be seen.
      if (code !== "ENOENT" && (after === null || path > after)) yield { path, unreadable: code, sidecar: null };
    }
  }

  function passOver(reason: PassedOverReason, path: BytePath): void {
    account?.give();
    account?.passOver(reason, shownPath(path));
  }

  function placeOf(path: BytePath): BytePath {
    return path === "" ? root : `${root}/${path.replace(/\/$/, "")}`;
  }

  async function identityAt(folder: BytePath): Promise<string | null> {
    if (!followLinks) return null;
    const { dev, ino } = await stat(fsPath(placeOf(folder)));
    return `${dev}:${ino}`;
  }

  async function isDataFolder(folder: BytePath): Promise<boolean> {
    for (const each of DATA_FOLDER) if (!(await isThere(placeOf(folder + each)))) return false;
    return true;
  }

  /** Names in one folder, descending; those of folders end in `/`, so that they sort as their contents do. */
  async function levelOf(folder: BytePath, identity: string | null): Promise<Level> {
    const names: BytePath[] = [];
    const sidecars = new Map<BytePath, BytePath>();
    const place = placeOf(folder);
    // Node gives the names as buffers for this encoding; its types do not know.
    const listing = await opendir(fsPath(place), { encoding: "buffer" as BufferEncoding, bufferSize: 512 });
    for await (const entry of listing) {
      const name = (entry.name as unknown as Buffer).toString("latin1");
      const kind = name.startsWith(".") ? "hidden" : await kindOf(folder + name, entry);
      if (kind === "folder") names.push(`${name}/`);
      else if (kind === "file") {
        names.push(name);
        if (tellsRights(name)) sidecars.set(stemOf(name), name);
      } else if (kind !== "gone") passOver(kind, folder + name);
    }
    return { folder, names: names.sort().reverse(), sidecars, identity };
  }

  async function kindOf(path: BytePath, entry: Dirent): Promise<"file" | "folder" | "gone" | PassedOverReason> {
    const place = placeOf(path);
    let found: Kind = entry;
    if (isUntyped(entry)) {
      const typed = await orNull(lstat(fsPath(place)), "ENOENT");
      if (typed === null) return "gone";
      found = typed;
    }
    let real = place;
    if (found.isSymbolicLink()) {
      if (!followLinks) return "link";
      try {
        real = (await realpath(fsPath(place), { encoding: "buffer" })).toString("latin1");
        found = await stat(fsPath(real));
      } catch (error) {
        const code = codeOf(error);
        if (code === "ELOOP") return "loop";
        if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return "brokenLink";
        throw error;
      }
      if (linksWithin !== undefined && !`${real}/`.startsWith(`${linksWithin}/`)) return "outside";
    }
    if (found.isFile()) return "file";
    if (!found.isDirectory()) return "special";
    return skip.has(real) ? "ownFolder" : "folder";
  }
}

interface Kind {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

async function isThere(place: BytePath): Promise<boolean> {
  return (await orNull(lstat(fsPath(place)), ...ABSENT)) !== null;
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
