import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { percentDecode, percentEncode, type BytePath } from "./byte-path.js";

/** Something that a source has taken: a file, or a shard. It is another one when its size or time differs. */
export interface Taken {
  readonly path: BytePath;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
}

/** Where a source stands: the last item handed out in a pass. `index` counts members of a shard; 0 for a file. */
export interface Mark {
  readonly pass: number;
  readonly path: BytePath;
  readonly index: number;
}

const CURSOR = /^(\d+):([^#]*)(?:#(\d+))?$/;

export function formatMark(mark: Mark): string {
  return `${mark.pass}:${percentEncode(mark.path)}${mark.index === 0 ? "" : `#${mark.index}`}`;
}

/** null for a cursor that no source wrote: then everything is taken again, and nothing lost. */
export function parseMark(cursor: string | null): Mark | null {
  const found = cursor === null ? null : CURSOR.exec(cursor);
  if (found === null) return null;
  return { pass: Number(found[1]), path: percentDecode(found[2]!), index: Number(found[3] ?? 0) };
}

/**
 * What a source has taken, on disk, so that a second run takes what is new or changed, whatever its name, and
 * nothing twice. One sorted text file a source, `<name>.listing`; a pass over the source reads it and writes the next one,
 * `<name>.next`, side by side: memory stays flat. The log's cursor, which is stored with the records in one
 * transaction, decides how much of an interrupted pass counts; losing these files costs repeats, never an image.
 *
 *     sluice-listing 1 <pass>
 *     <path, percent-encoded> TAB <mtime, ms> TAB <size, bytes>     ascending by path
 *     end <the newest item handed out, as a cursor; or nothing>     only of a pass that got to its end
 */
export class Pass {
  private constructor(
    readonly number: number,
    /** The pass goes on after this mark; null: from the start */
    readonly resumeAfter: Mark | null,
    private readonly file: string,
    /** The newest item that `known` tells of: the log has it */
    private readonly knownUpTo: Mark | null,
    private readonly known: AsyncGenerator<Taken>,
    private readonly next: FileHandle,
  ) {}

  #ahead: IteratorResult<Taken> | null = null;
  #pending = "";

  /** Begins a pass, or takes up the one that `cursor` stands in. */
  static async begin(file: string, cursor: Mark | null): Promise<Pass> {
    const nextFile = nextOf(file);
    const left = await summaryOf(nextFile);
    if (left !== null && isSettled(left, cursor)) await rename(nextFile, file);
    // A listing that knows of more than the log does is of another log: what it says is taken need not be there.
    const found = await summaryOf(file);
    if (found !== null && !isSettled(found, cursor)) await rm(file);
    const base = found !== null && isSettled(found, cursor) ? found : null;
    if (cursor !== null && left?.pass === cursor.pass && base?.pass !== left.pass) {
      const next = await keepUpTo(nextFile, cursor.path);
      return new Pass(left.pass, cursor, file, base?.last ?? null, taken(file, cursor.path), next);
    }
    const number = Math.max(base?.pass ?? 0, cursor?.pass ?? 0) + 1;
    const next = await open(nextFile, "w");
    await next.write(`${HEADER}${number}\n`);
    return new Pass(number, null, file, base?.last ?? null, taken(file, null), next);
  }

  /** Whether the thing was taken before, unchanged. Ask in ascending order of the path. */
  async isTaken(thing: Taken): Promise<boolean> {
    const known = await this.#seek(thing.path);
    return known !== null && known.mtimeMs === thing.mtimeMs && known.sizeBytes === thing.sizeBytes;
  }

  /** Carries over what is known of a path, without looking at it. */
  async keep(path: BytePath): Promise<void> {
    const known = await this.#seek(path);
    if (known !== null) this.add(known);
  }

  add(thing: Taken): void {
    this.#pending += line(thing);
  }

  /** Must return before the things added are handed out: a process that is killed then repeats none. */
  async flush(): Promise<void> {
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    await this.next.write(text);
  }

  /** `last`: the last item handed out in this pass; null where nothing was new. */
  async end(last: Mark | null): Promise<void> {
    await this.flush();
    const newest = last ?? this.knownUpTo;
    await this.next.write(`${END}${newest === null ? "" : formatMark(newest)}\n`);
    await this.next.sync();
    await this.close();
    // What was handed out is settled only when a later cursor says so; a pass that gave nothing is settled now.
    if (last === null) await rename(nextOf(this.file), this.file);
  }

  async close(): Promise<void> {
    await this.known.return(undefined);
    await this.next.close();
  }

  async #seek(path: BytePath): Promise<Taken | null> {
    this.#ahead ??= await this.known.next();
    while (this.#ahead.done !== true && this.#ahead.value.path < path) this.#ahead = await this.known.next();
    return this.#ahead.done !== true && this.#ahead.value.path === path ? this.#ahead.value : null;
  }
}

const HEADER = "sluice-listing 1 ";
const END = "end ";

const nextOf = (file: string): string => `${file.replace(/\.listing$/, "")}.next`;

const line = ({ path, mtimeMs, sizeBytes }: Taken): string => `${percentEncode(path)}\t${mtimeMs}\t${sizeBytes}\n`;

interface Summary {
  readonly pass: number;
  readonly ended: boolean;
  readonly last: Mark | null;
}

/** A pass is settled when it got to its end and the log's cursor has reached the newest item that it tells of. */
function isSettled({ ended, last }: Summary, cursor: Mark | null): boolean {
  if (!ended || last === null) return ended;
  if (cursor === null) return false;
  if (cursor.pass !== last.pass) return cursor.pass > last.pass;
  return cursor.path > last.path || (cursor.path === last.path && cursor.index >= last.index);
}

/** Reads the first and the last line. null where there is no listing, or one that breaks off in its first line. */
async function summaryOf(file: string): Promise<Summary | null> {
  const handle = await open(file, "r").catch(absent);
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    const head = await textAt(handle, 0, 64);
    const pass = new RegExp(`^${HEADER}(\\d+)\n`).exec(head)?.[1];
    if (pass === undefined) return null;
    const tail = await textAt(handle, Math.max(0, size - LONGEST_LINE_BYTES), LONGEST_LINE_BYTES);
    const end = new RegExp(`\n${END}(.*)\n$`).exec(tail)?.[1];
    return { pass: Number(pass), ended: end !== undefined, last: parseMark(end ?? null) };
  } finally {
    await handle.close();
  }
}

/** A path has at most 4096 bytes on Linux, and three characters a byte here. */
const LONGEST_LINE_BYTES = 16 * 1024;

async function textAt(handle: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(length), position });
  return buffer.toString("latin1", 0, bytesRead);
}

function absent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw error;
}

/** Cuts a half-written listing back to what lies at or before `path`, and opens it to go on from there. */
async function keepUpTo(file: string, path: BytePath): Promise<FileHandle> {
  let sizeBytes = 0;
  for await (const text of wholeLines(file)) {
    const thing = parseLine(text);
    if (text.startsWith(END) || (thing !== null && thing.path > path)) break;
    sizeBytes += Buffer.byteLength(text) + 1;
  }
  const handle = await open(file, "r+");
  await handle.truncate(sizeBytes);
  await handle.close();
  return open(file, "a");
}

async function* taken(file: string, after: BytePath | null): AsyncGenerator<Taken> {
  for await (const text of wholeLines(file)) {
    const thing = parseLine(text);
    if (thing !== null && (after === null || thing.path > after)) yield thing;
  }
}

function parseLine(text: string): Taken | null {
  const [path, mtimeMs, sizeBytes] = text.split("\t");
  if (path === undefined || mtimeMs === undefined || sizeBytes === undefined) return null;
  return { path: percentDecode(path), mtimeMs: Number(mtimeMs), sizeBytes: Number(sizeBytes) };
}

/** The file's lines; a last line without its end was being written when the process died, and is left out. */
async function* wholeLines(file: string): AsyncGenerator<string> {
  const stream = createReadStream(file, { encoding: "latin1", highWaterMark: 256 * 1024 });
  let rest = "";
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  } finally {
    stream.destroy();
  }
}

/** Forgets what was taken. */
export async function forget(file: string): Promise<void> {
  await rm(file, { force: true });
  await rm(nextOf(file), { force: true });
}
