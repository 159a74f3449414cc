import { randomUUID } from "node:crypto";
import { link, open, readdir, rm, unlink, type FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { SluiceError, orNull, codeOf } from "../../../schemas/errors.js";
import { makeFolder } from "./durable-folders.js";
import { statIfThere } from "../../stat-if-there.js";

/** No key may hold "~", so no key can lie in here. */
const FOLDER = "~tmp";
/** A week: no write takes that long. For leftovers of other machines and of pids that are in use again. */
const OLD_MS = 7 * 24 * 3600 * 1000;
const NO_HARD_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EMLINK"]);

/** Where this process writes objects before they get their names: a folder of its own, on the same file system. */
export class TemporaryFiles {
  readonly #all: string;
  readonly #mine: string;
  #made: Promise<void> | null = null;
  #count = 0;

  constructor(root: string) {
    this.#all = join(root, FOLDER);
    this.#mine = join(this.#all, `${hostName()}.${process.pid}.${randomUUID()}`);
  }

  /** An empty file of its own name, open for writing and reading. */
  async create(): Promise<{ path: string; handle: FileHandle }> {
    this.#made ??= this.#makeFolder();
    try {
      await this.#made;
      return await this.#open();
    } catch (error) {
      this.#made = null;
      if (codeOf(error) !== "ENOENT") throw error;
      // Somebody has cleaned up: once more, with a folder made anew.
      await this.#makeFolder();
      return await this.#open();
    }
  }

  async #open(): Promise<{ path: string; handle: FileHandle }> {
    const path = join(this.#mine, String(this.#count++));
    return { path, handle: await open(path, "wx+") };
  }

  async #makeFolder(): Promise<void> {
    // Not with `recursive`: on a read-only file system that says ENOENT.
    await makeFolder(this.#all);
    await makeFolder(this.#mine);
    await this.#probeLinks();
  }

  /** Creating a name only if it is absent, with all its bytes, is what a hard link does; nothing else does it everywhere. */
  async #probeLinks(): Promise<void> {
    const from = join(this.#mine, "probe");
    const to = join(this.#mine, "probe-link");
    await (await open(from, "w")).close();
    try {
      await link(from, to);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return;
      if (!NO_HARD_LINKS.has(codeOf(error) ?? "")) throw error;
      throw new SluiceError(
        "E_STORE_IO",
        `Expected a file system with hard links under ${this.#all}, found one without (FAT, some network and phone storage): ` +
          "objects could not be created only if absent. Choose a folder on another file system.",
        { cause: error },
      );
    }
    await unlink(to);
    await unlink(from);
  }

  /** Removes what processes left behind that are no more. What cannot be removed stays. */
  async sweep(now: number): Promise<void> {
    const names = (await orNull(readdir(this.#all), "ENOENT")) ?? [];
    for (const name of names) {
      const path = join(this.#all, name);
      if (await isLeftover(path, name, now)) await Promise.allSettled([rm(path, { recursive: true, force: true })]);
    }
  }

  async close(): Promise<void> {
    if (this.#made !== null) await rm(this.#mine, { recursive: true, force: true });
    this.#made = null;
  }
}

async function isLeftover(path: string, name: string, now: number): Promise<boolean> {
  const [host, pid] = name.split(".");
  if (host === hostName() && !isRunning(Number(pid))) return true;
  const found = await statIfThere(path);
  return found !== null && now - found.mtimeMs > OLD_MS;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

function hostName(): string {
  return hostname().replaceAll(/[^A-Za-z0-9-]/g, "-");
}
