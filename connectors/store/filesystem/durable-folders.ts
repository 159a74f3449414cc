import { access, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "../../../schemas/errors.js";

/** Folders remembered as durable: bounds the memory of a store with many (about 100 bytes each). */
const REMEMBERED = 100_000;

/** Makes folders, and the names in them, survive the loss of power. Calls that can share an fsync do. */
export class DurableFolders {
  readonly #root: string;
  readonly #made = new Map<string, Promise<void>>();
  readonly #syncs = new Map<string, { running: Promise<void>; next: Promise<void> | null }>();

  /** `root` itself exists already. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Creates a folder below the root where it is absent, with its parents; on disk when it settles. */
  async ensure(folder: string): Promise<void> {
    if (folder === this.#root) return;
    let made = this.#made.get(folder);
    if (made === undefined) {
      if (this.#made.size >= REMEMBERED) this.#made.clear();
      made = this.#make(folder);
      this.#made.set(folder, made);
      void made.then(null, () => this.#made.delete(folder));
    }
    await made;
  }

  async #make(folder: string): Promise<void> {
    const parent = dirname(folder);
    await this.ensure(parent);
    await makeFolder(folder);
    // Where another process has made it, that one may not have come to this yet.
    await this.sync(parent);
  }

  /** Forgets what is known: somebody else has removed folders. */
  forget(): void {
    this.#made.clear();
  }

  /** Settles when every name that was in the folder at the time of the call is on disk. */
  sync(folder: string): Promise<void> {
    const at = this.#syncs.get(folder);
    // One that already runs may have begun before this caller's name was there; the one after it covers all who wait.
    if (at !== undefined) return (at.next ??= at.running.then(nothing, nothing).then(() => this.#start(folder)));
    return this.#start(folder);
  }

  #start(folder: string): Promise<void> {
    const running = syncFolder(folder);
    const state = { running, next: null as Promise<void> | null };
    this.#syncs.set(folder, state);
    const done = (): void => {
      if (state.next === null) this.#syncs.delete(folder);
    };
    running.then(done, done);
    return running;
  }
}

/** Creates a folder where it is absent; whether it did. Throws ENOTDIR where something else has its name. */
export async function makeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    await access(`${folder}/.`);
    return false;
  }
}

/** Creates a folder with its parents; on disk when it settles. */
export async function makeDurableRoot(folder: string): Promise<void> {
  const parent = dirname(folder);
  let made: boolean;
  try {
    made = await makeFolder(folder);
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || parent === folder) throw error;
    await makeDurableRoot(parent);
    made = await makeFolder(folder);
  }
  if (made) await syncFolder(parent);
}

/** Puts the names in a folder on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // has no such call, and journals its names
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function nothing(): void {
  // The caller that asked for the sync that failed was told.
}
