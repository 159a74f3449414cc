import { lstat, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { SluiceError, orNull, codeOf } from "../../schemas/errors.js";
import type { ImageRecord } from "../../schemas/image-record.js";
import { Account } from "./account.js";
import { bytePath, fsPath, percentEncode, shownPath, type BytePath } from "./byte-path.js";
import { isShardName, isSidecar } from "./file-kinds.js";
import { includes } from "./include.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
import { nothingFound } from "./nothing-found.js";
import { otherForm } from "./other-form.js";
import { passes, type Pass } from "./pass.js";
import { NO_RIGHTS, rightsOf, type Rights } from "./sidecar.js";
import type { Source, SourceEstimate, SourceItem } from "./source.js";
import { sourceName } from "./source-name.js";
import { walk, type Walked } from "./walk.js";
import { ABSENT } from "../stat-if-there.js";

export interface FolderSourceOptions {
  /**
   * Globs on the path relative to the folder (such as `*.jpg` or `2024/**`, whatever the letters' case); a file that matches any is an
   * item. Default: all files but sidecars and tar shards, so that what is no image is reported, not overlooked.
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
  /** Take links for what they lead to. Default: they are passed over. */
  readonly followLinks?: boolean | undefined;
  /** A folder; links that lead out of it are passed over. Default: links may lead anywhere. */
  readonly linksWithin?: string | undefined;
  /** Whether a folder that has nothing to take is no mistake: pictures may still come. */
  readonly mayBeEmpty?: boolean | undefined;
}

/** Files looked at together: enough to hide a network file system's delay, few enough to hold. */
const TOGETHER = 256;

/** Above this, counting alone takes noticeable time. */
const COUNTED_AT_MOST = 1_000_000;

/**
 * The files below a folder as images by reference, in the byte order of their relative paths. Event time is the file's modification
 * time; licence and origin come from its own sidecar (see sidecar.ts). Names that begin with a dot are left out. A folder below that
 * cannot be listed is an item itself, which opening refuses as E_IMAGE_UNREADABLE: the run goes on, and the quarantine names it.
 * Errors: E_SOURCE_MISSING, E_SOURCE_READ, both about the folder itself; E_SOURCE_EMPTY of `items`, where there is nothing to take.
 */
export async function openFolderSource(folder: string, options: FolderSourceOptions = {}): Promise<Source> {
  const { include, listings, followLinks = false, mayBeEmpty = false } = options;
  const root = await rootOf(folder);
  const name = sourceName("folder", root);
  const skip = new Set(await Promise.all((options.skip ?? []).map(whereItIs)));
  const linksWithin = options.linksWithin === undefined ? undefined : await rootOf(options.linksWithin);
  const isIncluded = includes(include);
  const account = new Account();

  return {
    name,
    account: () => account.read(),
    async estimate(): Promise<SourceEstimate> {
      let items = 0;
      for await (const { reason } of walkFrom(null)) {
        if (reason === null) items += 1;
        if (items > COUNTED_AT_MOST) return { items: null };
      }
      return { items };
    },
    async *items(cursor): AsyncGenerator<SourceItem> {
      const mark = parseMark(cursor);
      if (listings === undefined) yield* itemsAfter(mark);
      else for await (const pass of passes(listings, name, mark)) yield* newItems(pass);
      const { taken, known } = account.read();
      if (mark === null && taken + known === 0 && !mayBeEmpty) throw nothingFound(folder, account.read(), include);
    },
  };

  async function* itemsAfter(mark: Mark | null): AsyncGenerator<SourceItem> {
    account.clear();
    for await (const group of groups(walkFrom(mark?.path ?? null, account))) {
      for (const file of await looked(group.filter(isImage))) {
        account.take();
        yield await item(file, { pass: 0, path: file.path, index: 0 });
      }
    }
  }

  async function* newItems(pass: Pass): AsyncGenerator<SourceItem> {
    account.clear();
    try {
      for await (const group of groups(walkFrom(pass.resumeAfter?.path ?? null, account))) {
        const fresh: Looked[] = [];
        for (const file of await looked(group)) {
          if (file.reason !== null) await pass.keep(file.path);
          else if (file.sizeBytes === null) fresh.push(file);
          else {
            const thing = { path: file.path, mtimeMs: file.mtimeMs, sizeBytes: file.sizeBytes };
            if (await pass.isTaken(thing)) account.know();
            else fresh.push(file);
            pass.add(thing);
          }
        }
        await pass.flush();
        for (const file of fresh) {
          account.take();
          yield await item(file, pass.mark(file.path));
        }
      }
      await pass.end();
    } finally {
      await pass.close();
    }
  }

  async function* walkFrom(after: BytePath | null, counts?: Account): AsyncGenerator<Judged> {
    try {
      for await (const found of walk({ root, after, skip, followLinks, linksWithin, account: counts })) {
        const shown = shownPath(found.path);
        const reason = found.unreadable === null ? reasonAgainst(shown) : null;
        counts?.give();
        if (reason !== null) counts?.passOver(reason, shown);
        yield { ...found, reason };
      }
    } catch (error) {
      throw await unreadable(folder, error);
    }
  }

  function reasonAgainst(path: string): Judged["reason"] {
    if (include !== undefined) return isIncluded(path) ? null : isSidecar(path) ? "sidecar" : "excluded";
    return isSidecar(path) ? "sidecar" : isShardName(path) ? "shard" : null;
  }

  /** Asks for sizes and times. A file that has gone since it was listed is left out, as if it had gone before. */
  async function looked(group: readonly Judged[]): Promise<readonly Looked[]> {
    const all = await Promise.all(
      group.map(async (found): Promise<Looked | null> => {
        if (found.reason !== null) return { ...found, mtimeMs: 0, sizeBytes: null };
        try {
          const { mtimeMs, size } = await (followLinks ? stat : lstat)(fsPath(`${root}/${found.path}`));
          return { ...found, mtimeMs, sizeBytes: found.unreadable === null ? size : null };
        } catch (error) {
          if (codeOf(error) === "ENOENT") {
            account.give(-1);
            return null;
          }
          return { ...found, mtimeMs: 0, sizeBytes: null };
        }
      }),
    );
    return all.filter((file) => file !== null);
  }

  async function item(file: Looked, mark: Mark): Promise<SourceItem> {
    const record: ImageRecord = {
      uri: `file://${percentEncode(`${root}/${file.path}`)}`,
      bytes: null,
      eventTimeMs: Math.max(0, Math.floor(file.mtimeMs)),
      ...(file.sidecar === null ? NO_RIGHTS : await rightsAt(`${root}/${file.sidecar}`)),
      retryOf: null,
    };
    return { record, cursor: formatMark(mark) };
  }
}

/** A walked file, and why it is no image of the run: null for one that is. */
interface Judged extends Walked {
  readonly reason: "excluded" | "sidecar" | "shard" | null;
}

interface Looked extends Judged {
  readonly mtimeMs: number;
  /** null where it could not be asked */
  readonly sizeBytes: number | null;
}

function isImage({ reason }: Judged): boolean {
  return reason === null;
}

/** A larger file is no sidecar of one image. */
const SIDECAR_BYTES = 1024 * 1024;

/** What cannot be read says nothing about rights. */
async function rightsAt(sidecar: BytePath): Promise<Rights> {
  try {
    const { size } = await stat(fsPath(sidecar));
    return size > SIDECAR_BYTES ? NO_RIGHTS : rightsOf(await readFile(fsPath(sidecar)));
  } catch (error) {
    if (["ENOENT", "EACCES", "EIO"].includes(codeOf(error) ?? "")) return NO_RIGHTS;
    throw error;
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
    throw await unreadable(folder, error);
  }
  return path === "/" ? "" : path;
}

/** A folder may not be there yet: then its parent says where it will be. */
async function whereItIs(path: string): Promise<BytePath> {
  const real = (one: string): Promise<Buffer | null> => orNull(realpath(one, { encoding: "buffer" }), ...ABSENT);
  const there = await real(path);
  if (there !== null) return bytePath(there);
  return `${bytePath((await real(dirname(path))) ?? Buffer.from(dirname(path)))}/${bytePath(basename(path))}`;
}

async function unreadable(folder: string, error: unknown): Promise<Error> {
  if (error instanceof SluiceError) return error;
  const code = codeOf(error);
  // What is no failure of the file system is one of ours.
  if (code === undefined) return error as Error;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new SluiceError(
      "E_SOURCE_MISSING",
      `Expected a folder of images, found nothing at ${folder}. ${(await otherForm(folder)) ?? "Check the path."}`,
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
