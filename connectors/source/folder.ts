import { lstat, realpath, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import picomatch from "picomatch";
import { SluiceError } from "../../schemas/errors.js";
import type { ImageRecord } from "../../schemas/image-record.js";
import { bytePath, fsPath, percentEncode, shownPath, type BytePath } from "./byte-path.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
import { passes, type Pass } from "./pass.js";
import type { Source, SourceEstimate, SourceItem } from "./source.js";
import { sourceName } from "./source-name.js";
import { walk, type Walked } from "./walk.js";

export interface FolderSourceOptions {
  /**
   * Globs on the path relative to the folder (such as `*.jpg` or `2024/**`); a file that matches any is an item. Default: all files, so
   * that what is no image is reported, not overlooked.
   */
  readonly include?: readonly string[] | undefined;
  /** Absolute paths of folders that are left out: a data folder may lie among the pictures. */
  readonly skip?: readonly string[] | undefined;
  /**
   * A folder, one for each topic, in which the source remembers what it has taken (see pass.ts). With it, `items`
   * gives what is new or changed since the last run, whatever its name. Without it, `items` gives what sorts after
   * the cursor, and everything again for the cursor null.
   */
  readonly listings?: string | undefined;
}

export interface FolderSource extends Source {
  /** What `items` has passed over so far because it is neither a file nor a folder. Symbolic links are not followed. */
  readonly skipped: { count: number; first: string | null };
}

/** Files looked at together: enough to hide a network file system's delay, few enough to hold. */
const TOGETHER = 256;

/** Above this, counting alone takes noticeable time. */
const COUNTED_AT_MOST = 1_000_000;

/**
 * The regular files below a folder as images by reference, in the byte order of their relative paths. Event time is the
 * file's modification time. Names that begin with a dot are left out; links are not followed. A folder below that cannot be
 * listed is an item itself, which opening refuses as E_IMAGE_UNREADABLE: the run goes on, and the quarantine names it.
 * Errors: E_SOURCE_MISSING, E_SOURCE_READ, both about the folder itself.
 */
export async function openFolderSource(folder: string, options: FolderSourceOptions = {}): Promise<FolderSource> {
  const root = await rootOf(folder);
  const name = sourceName("folder", root);
  const skip = new Set(await Promise.all((options.skip ?? []).map(whereItIs)));
  const isIncluded = options.include === undefined ? () => true : picomatch([...options.include], { dot: true });
  const skipped: { count: number; first: string | null } = { count: 0, first: null };
  const countSkipped = (path: BytePath): void => {
    skipped.count += 1;
    skipped.first ??= shownPath(`${root}/${path}`);
  };
  async function* walkFrom(
    after: BytePath | null,
    onPassedOver?: (path: BytePath) => void,
  ): AsyncGenerator<Walked & { readonly included: boolean }> {
    try {
      for await (const found of walk({ root, after, skip, onPassedOver })) {
        yield { ...found, included: found.unreadable !== null || isIncluded(shownPath(found.path)) };
      }
    } catch (error) {
      throw unreadable(folder, error);
    }
  }

  return {
    name,
    skipped,
    async estimate(): Promise<SourceEstimate> {
      let items = 0;
      for await (const { included } of walkFrom(null)) {
        if (included) items += 1;
        if (items > COUNTED_AT_MOST) return { items: null };
      }
      return { items };
    },
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (options.listings !== undefined) {
        for await (const pass of passes(options.listings, name, mark)) yield* newItems(pass);
        return;
      }
      for await (const group of groups(walkFrom(mark?.path ?? null, countSkipped))) {
        const included = group.filter((found) => found.included);
        for (const file of await looked(root, included)) {
          yield item(root, file, { pass: 0, path: file.path, index: 0 });
        }
      }
    },
  };

  async function* newItems(pass: Pass): AsyncGenerator<SourceItem> {
    try {
      for await (const group of groups(walkFrom(pass.resumeAfter?.path ?? null, countSkipped))) {
        const fresh: Looked[] = [];
        for (const file of await looked(root, group)) {
          if (!file.included) await pass.keep(file.path);
          else if (file.sizeBytes === null) fresh.push(file);
          else {
            const thing = { path: file.path, mtimeMs: file.mtimeMs, sizeBytes: file.sizeBytes };
            if (!(await pass.isTaken(thing))) fresh.push(file);
            pass.add(thing);
          }
        }
        await pass.flush();
        for (const file of fresh) {
          yield item(root, file, pass.mark(file.path));
        }
      }
      await pass.end();
    } finally {
      await pass.close();
    }
  }
}

async function rootOf(folder: string): Promise<BytePath> {
  let path: BytePath;
  try {
    path = (await realpath(folder, { encoding: "buffer" })).toString("latin1");
    if (!(await stat(fsPath(path))).isDirectory()) {
      throw new SluiceError("E_SOURCE_READ", `Expected a folder of images, found a file: ${folder}. Give its folder.`);
    }
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw unreadable(folder, error);
  }
  return path === "/" ? "" : path;
}

/** A folder may not be there yet: then its parent says where it will be. */
async function whereItIs(path: string): Promise<BytePath> {
  try {
    return bytePath(await realpath(path, { encoding: "buffer" }));
  } catch {
    const parent = await realpath(dirname(path), { encoding: "buffer" }).catch(() => Buffer.from(dirname(path)));
    return `${bytePath(parent)}/${bytePath(basename(path))}`;
  }
}

function unreadable(folder: string, error: unknown): Error {
  if (error instanceof SluiceError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  // What is no failure of the file system is one of ours.
  if (code === undefined) return error as Error;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new SluiceError(
      "E_SOURCE_MISSING",
      `Expected a folder of images, found nothing at ${folder}. Check the path.`,
      { cause: error },
    );
  }
  return new SluiceError("E_SOURCE_READ", `Expected to list ${folder}, found ${code}. Check its permissions.`, {
    cause: error,
    retryable: true,
  });
}

async function* groups<T>(things: AsyncIterable<T>): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const thing of things) {
    group.push(thing);
    if (group.length < TOGETHER) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

interface Looked extends Walked {
  readonly included: boolean;
  readonly mtimeMs: number;
  /** null where it could not be asked */
  readonly sizeBytes: number | null;
}

/** Asks for sizes and times. A file that has gone since it was listed is left out, as if it had gone before. */
async function looked(
  root: BytePath,
  group: readonly (Walked & { readonly included: boolean })[],
): Promise<readonly Looked[]> {
  const all = await Promise.all(
    group.map(async (found): Promise<Looked | null> => {
      if (!found.included) return { ...found, mtimeMs: 0, sizeBytes: null };
      try {
        const { mtimeMs, size } = await lstat(fsPath(`${root}/${found.path}`));
        return { ...found, mtimeMs, sizeBytes: found.unreadable === null ? size : null };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        return { ...found, mtimeMs: 0, sizeBytes: null };
      }
    }),
  );
  return all.filter((file) => file !== null);
}

function item(root: BytePath, file: Looked, mark: Mark): SourceItem {
  const record: ImageRecord = {
    uri: `file://${percentEncode(`${root}/${file.path}`)}`,
    bytes: null,
    eventTimeMs: Math.max(0, Math.floor(file.mtimeMs)),
    licence: null,
    origin: null,
    retryOf: null,
  };
  return { record, cursor: formatMark(mark) };
}
