import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { counted } from "../../../schemas/counted.js";
import { messageOf, SluiceError } from "../../../schemas/errors.js";
import { CheckedTable, type ByteTable } from "./checked-table.js";

/** Tables are opened by name and stay open; each costs a slot of a fixed list and nothing else. */
const MAX_TABLES = 128;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;

/**
 * An LMDB environment of tables from bytes to bytes. `write` gives each caller its own all-or-nothing transaction; those
 * asked for while one is being flushed are flushed together.
 */
export class LmdbFolder {
  readonly folder: string;
  readonly readOnly: boolean;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables = new Map<string, CheckedTable>();
  #closed = false;

  private constructor(folder: string, readOnly: boolean, root: RootDatabase<Buffer, Buffer>) {
    this.folder = folder;
    this.readOnly = readOnly;
    this.#root = root;
  }

  /** Throws E_LOG_IO where the folder cannot be used, or is opened read-only and holds no log. */
  static open(folder: string, readOnly: boolean): LmdbFolder {
    if (readOnly && !existsSync(join(folder, "data.mdb"))) {
      throw new SluiceError(
        "E_LOG_IO",
        `Expected an embedded log in ${folder}, found none. Run \`sluice ingest\` first.`,
      );
    }
    try {
      const made = readOnly ? undefined : mkdirSync(folder, { recursive: true });
      const root = open<Buffer, Buffer>({
        ...BINARY,
        path: folder,
        readOnly,
        noSubdir: false,
        maxDbs: MAX_TABLES,
        // A commit is visible only once it is on the disk: what has been read, and archived, can no longer vanish.
        overlappingSync: false,
        // Its batches of a turn leave a promise to nobody, whose rejection (a full disk) would end the process.
        eventTurnBatching: false,
      });
      // lmdb puts its file's bytes on the disk, not the names that lead to it.
      if (!readOnly) syncNames(folder, made === undefined ? folder : dirname(made));
      return new LmdbFolder(folder, readOnly, root);
    } catch (error) {
      throw failure(folder, "opened", messageOf(error), error);
    }
  }

  /** null where the folder is read-only and the table was never written. */
  table(name: string): CheckedTable | null {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    this.assertOpen();
    try {
      const made = this.#root.openDB<Buffer, Buffer>(name, BINARY) as ByteTable | undefined;
      if (made === undefined) return null;
      const table = new CheckedTable(this.folder, name, made);
      this.#tables.set(name, table);
      return table;
    } catch (error) {
      throw failure(this.folder, "opened", messageOf(error), error);
    }
  }

  /** Makes the next read see all that has been committed, by other processes too. */
  refresh(): void {
    this.assertOpen();
    this.#root.resetReadTxn();
  }

  /** Runs `work` in a write transaction; what it throws undoes all of it. On disk when it settles. */
  async write<T>(work: () => T): Promise<T> {
    this.assertOpen();
    this.#assertWritable();
    const thrown: unknown[] = [];
    try {
      return await this.#root.childTransaction(() => {
        try {
          return work();
        } catch (error) {
          thrown.push(error);
          throw error;
        }
      });
    } catch (error) {
      if (thrown.length > 0) throw error; // by `work` itself
      throw failure(this.folder, "written", await reasonOf(error), error);
    }
  }

  /** Like `write`, at once: nothing else of this process runs meanwhile. For opening and closing. */
  writeNow<T>(work: () => T): T {
    this.assertOpen();
    this.#assertWritable();
    try {
      return this.#root.transactionSync(work);
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw failure(this.folder, "written", messageOf(error), error);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#root.close();
  }

  assertOpen(): void {
    if (this.#closed)
      throw new SluiceError("E_LOG_IO", `Expected an open log, found the one in ${this.folder} closed.`);
  }

  #assertWritable(): void {
    if (!this.readOnly) return;
    throw new SluiceError("E_LOG_IO", `Expected a log opened for writing, found ${this.folder} opened read-only.`);
  }
}

/** Puts the names in `from` and in the folders above it, up to `to`, on the disk. */
function syncNames(from: string, to: string): void {
  if (process.platform === "win32") return; // has no such call, and journals its names
  for (let at = resolve(from); ; at = dirname(at)) {
    const descriptor = openSync(at, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (at === resolve(to) || at === dirname(at)) return;
  }
}

/** lmdb rejects with one message and gives the reason as a promise that rejects later. */
async function reasonOf(error: unknown): Promise<string> {
  const later = (error as { commitError?: unknown }).commitError;
  if (!(later instanceof Promise)) return messageOf(error);
  return later.then(() => messageOf(error), messageOf);
}

/** lmdb reports a write for which there was no room as an I/O error; so little room left means that it was one. */
const NO_ROOM_BYTES = 16 * 1024 * 1024;

function failure(folder: string, what: "opened" | "written", reason: string, cause: unknown): SluiceError {
  const freeBytes = freeBytesOf(folder);
  const noRoom = what === "written" && freeBytes < NO_ROOM_BYTES;
  return new SluiceError(
    "E_LOG_IO",
    noRoom
      ? `Expected room for the log in ${folder}, found ${counted(freeBytes, "byte")} free (${reason}). Nothing of this write was kept: free space and run again.`
      : `Expected the embedded log in ${folder} to be ${what}, found: ${reason}.`,
    { cause, folder, noRoom, retryable: noRoom },
  );
}

function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}
