import { link, open, readFile, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { SluiceError, orNull, codeOf } from "../../../schemas/errors.js";
import { scratchIn } from "./disk-scratch.js";
import { DurableFolders, makeDurableRoot } from "./durable-folders.js";
import { isAbsence, missing, storeError } from "./file-errors.js";
import { Gate } from "./gate.js";
import { listObjects } from "./listing.js";
import { fileOf } from "../object-key.js";
import type { ByteRange, ListOptions, Scratch, Store, StoredObject, WrittenObject } from "../store.js";
import { TemporaryFiles } from "./temporary-files.js";

export interface FilesystemStoreOptions {
  /** Writes under way at a time; more wait. Default 32: each holds a file open, and fsyncs under way share a disk's flush. */
  readonly concurrency?: number;
}

const READ_BYTES = 256 * 1024;

/**
 * Opens a folder as an object store, created where it is absent. A key's object is the file of that path; each write goes
 * to a temporary file, onto the disk, and then by one link or rename to its name. Throws E_STORE_READONLY or E_STORE_IO
 * where there is no folder and none can be made; a folder that is there may be read-only.
 */
export async function openFilesystemStore(folder: string, options: FilesystemStoreOptions = {}): Promise<Store> {
  const root = resolve(folder);
  try {
    await makeDurableRoot(root);
  } catch (error) {
    throw storeError(error, "write", "a folder", root);
  }
  const temporary = new TemporaryFiles(root);
  await temporary.sweep(Date.now());
  return new FilesystemStore(root, temporary, options.concurrency ?? 32);
}

class FilesystemStore implements Store {
  readonly place: string;
  readonly #temporary: TemporaryFiles;
  readonly #folders: DurableFolders;
  readonly #writes: Gate;

  constructor(root: string, temporary: TemporaryFiles, concurrency: number) {
    this.place = root;
    this.#temporary = temporary;
    this.#folders = new DurableFolders(root);
    this.#writes = new Gate(concurrency);
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    const file = fileOf(this.place, key);
    return this.#writing(key, async () => {
      if (await this.#isThere(file, key)) return "exists";
      const temporary = await this.#write((handle) => writeAll(handle, bytes));
      try {
        return await this.#name(file, key, temporary);
      } finally {
        await removeQuietly(temporary);
      }
    });
  }

  /** Links a whole file to its name, if nothing has that name. */
  async #name(file: string, key: string, temporary: string): Promise<"created" | "exists"> {
    try {
      await this.#inFolder(file, () => link(temporary, file));
    } catch (error) {
      if (codeOf(error) === "EEXIST" && (await this.#isThere(file, key))) return "exists";
      throw error;
    }
    await this.#folders.sync(dirname(file));
    return "created";
  }

  /** Whether the object is there, and durable; the one that made it may still be on the way to that. */
  async #isThere(file: string, key: string): Promise<boolean> {
    const found = await orNull(stat(file), "ENOENT", "ENOTDIR", "EISDIR");
    if (found === null) return false;
    if (!found.isFile()) throw folderInTheWay(key, this.place);
    await this.#folders.sync(dirname(file));
    return true;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const file = fileOf(this.place, key);
    await this.#writing(key, async () => {
      await this.#replace(file, await this.#write((handle) => writeAll(handle, bytes)));
    });
  }

  async putStream(key: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<WrittenObject> {
    const file = fileOf(this.place, key);
    let sizeBytes = 0;
    // Not through the gate: it would be held for as long as the chunks take to come.
    try {
      const temporary = await this.#write(async (handle) => {
        for await (const chunk of passing(chunks)) {
          await writeAll(handle, chunk);
          sizeBytes += chunk.length;
        }
      });
      await this.#replace(file, temporary);
    } catch (error) {
      throw error instanceof SourceFailure ? error.cause : storeError(error, "write", key, this.place);
    }
    return { sizeBytes };
  }

  /** Writes a temporary file and puts it on the disk; returns its path. Leaves none where `fill` throws. */
  async #write(fill: (handle: FileHandle) => Promise<void>): Promise<string> {
    const { path, handle } = await this.#temporary.create();
    try {
      try {
        await fill(handle);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return path;
    } catch (error) {
      await removeQuietly(path);
      throw error;
    }
  }

  async #replace(file: string, temporary: string): Promise<void> {
    try {
      await this.#inFolder(file, () => rename(temporary, file));
    } catch (error) {
      await removeQuietly(temporary);
      throw error;
    }
    await this.#folders.sync(dirname(file));
  }

  /** Runs `name` with the file's folder there, also where somebody has just removed it. */
  async #inFolder(file: string, name: () => Promise<void>): Promise<void> {
    const folder = dirname(file);
    await this.#folders.ensure(folder);
    try {
      await name();
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      this.#folders.forget();
      await this.#folders.ensure(folder);
      await name();
    }
  }

  async get(key: string): Promise<Uint8Array> {
    return this.#reading(key, (file) => readFile(file));
  }

  async getInto(key: string, room: (sizeBytes: number) => Uint8Array, range?: ByteRange): Promise<Uint8Array> {
    return this.#reading(key, async (file) => {
      const handle = await open(file, "r");
      try {
        const { size } = await handle.stat();
        const { start, end } = range ?? { start: 0, end: size };
        const bytes = room(Math.max(0, Math.min(end, size) - start));
        return bytes.subarray(0, await readAll(handle, bytes, start));
      } finally {
        await handle.close();
      }
    });
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return this.#reading(key, async (file) => {
      const handle = await open(file, "r");
      try {
        // What is small is not worth another call to know how much of it there is.
        const until = end - start <= READ_BYTES ? end : Math.min(end, (await handle.stat()).size);
        const bytes = Buffer.allocUnsafe(Math.max(0, until - start));
        return bytes.subarray(0, await readAll(handle, bytes, start));
      } finally {
        await handle.close();
      }
    });
  }

  async *getStream(key: string): AsyncGenerator<Uint8Array> {
    const handle = await this.#reading(key, (file) => open(file, "r"));
    try {
      for (let position = 0; ;) {
        const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
        const count = await readAll(handle, bytes, position);
        if (count > 0) yield bytes.subarray(0, count);
        if (count < READ_BYTES) return;
        position += count;
      }
    } catch (error) {
      throw storeError(error, "read", key, this.place);
    } finally {
      await handle.close();
    }
  }

  async head(key: string): Promise<StoredObject | null> {
    const file = fileOf(this.place, key);
    try {
      const found = await stat(file);
      return found.isFile() ? { key, sizeBytes: found.size } : null;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw storeError(error, "read", key, this.place);
    }
  }

  list(prefix: string, { after = "" }: ListOptions = {}): AsyncIterable<StoredObject> {
    return listObjects(this.place, prefix, after);
  }

  async delete(key: string): Promise<void> {
    const file = fileOf(this.place, key);
    await this.#writing(key, async () => {
      if ((await this.head(key)) === null) return;
      await unlink(file).catch((error: unknown) => {
        if (!isAbsence(error)) throw error;
      });
      await this.#folders.sync(dirname(file));
    });
  }

  async locate(key: string): Promise<string> {
    if ((await this.head(key)) === null) throw missing(key, this.place);
    return fileOf(this.place, key);
  }

  async scratch(): Promise<Scratch> {
    try {
      return await scratchIn(await this.#temporary.create());
    } catch (error) {
      throw storeError(error, "write", "a temporary file", this.place);
    }
  }

  async close(): Promise<void> {
    await this.#temporary.close();
  }

  async #writing<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#writes.run(work);
    } catch (error) {
      throw codeOf(error) === "EISDIR" ? folderInTheWay(key, this.place) : storeError(error, "write", key, this.place);
    }
  }

  async #reading<T>(key: string, work: (file: string) => Promise<T>): Promise<T> {
    const file = fileOf(this.place, key);
    try {
      return await work(file);
    } catch (error) {
      throw storeError(error, "read", key, this.place);
    }
  }
}

/** Tells an error of the chunks' source from one of the disk. */
class SourceFailure extends Error {
  constructor(cause: unknown) {
    super("the source of a stream failed", { cause });
  }
}

async function* passing(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw new SourceFailure(error);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written)).bytesWritten;
  }
}

/** Fills `bytes` from the file, as far as the file goes; returns how many it read. */
async function readAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let count = 0;
  while (count < bytes.length) {
    const { bytesRead } = await handle.read(bytes, count, bytes.length - count, position + count);
    if (bytesRead === 0) break;
    count += bytesRead;
  }
  return count;
}

function folderInTheWay(key: string, place: string): SluiceError {
  return new SluiceError(
    "E_STORE_IO",
    `Expected ${key} in ${place} to be an object, found a folder: no key may be another key's folder.`,
    { key },
  );
}

/** A temporary file that stays behind holds nothing up: `sweep` removes it later. What failed before is what the caller must be told. */
async function removeQuietly(temporary: string): Promise<void> {
  await Promise.allSettled([unlink(temporary)]);
}
