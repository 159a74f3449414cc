import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { bytePath, percentDecode, percentEncode, shownPath, type BytePath } from "./byte-path.js";
import { formatMark, parseMark, type Mark } from "./mark.js";
import { orNull, codeOf } from "../../schemas/errors.js";

/** Something that a source has taken: a file, a shard, an object. It is another one when its size, time or ETag differs. */
export interface Taken {
  readonly path: BytePath;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
  /** Of an object, where its server gives one */
  readonly etag?: string | undefined;
}

/** What a listing's first and last lines say. */
export interface Summary {
  readonly pass: number;
  /** Whether the pass got to its end */
  readonly ended: boolean;
  /** The newest item handed out by the end of the pass, in it or before; null where none ever was, or it has not ended */
  readonly newest: Mark | null;
}

const HEADER = "sluice-listing 1 ";
const END = "end ";

export function headerLine(pass: number): string {
  return `${HEADER}${pass}\n`;
}

export function takenLine({ path, mtimeMs, sizeBytes, etag }: Taken): string {
  const ending = etag === undefined ? "" : `\t${percentEncode(bytePath(etag))}`;
  return `${percentEncode(path)}\t${mtimeMs}\t${sizeBytes}${ending}\n`;
}

export function endLine(newest: Mark | null): string {
  return `${END}${newest === null ? "" : formatMark(newest)}\n`;
}

/** A path has at most 4096 bytes on Linux, and three characters a byte here. */
const LONGEST_LINE_BYTES = 16 * 1024;

/** null where there is no listing, or one that breaks off in its first line. */
export async function summaryOf(file: string): Promise<Summary | null> {
  const handle = await orNull(open(file, "r"), "ENOENT");
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    const head = await textAt(handle, 0, 64);
    const pass = new RegExp(`^${HEADER}(\\d+)\\n`).exec(head)?.[1];
    if (pass === undefined) return null;
    const tail = await textAt(handle, Math.max(0, size - LONGEST_LINE_BYTES), LONGEST_LINE_BYTES);
    const end = new RegExp(`\\n${END}(.*)\\n$`).exec(tail)?.[1];
    return { pass: Number(pass), ended: end !== undefined, newest: parseMark(end ?? null) };
  } finally {
    await handle.close();
  }
}

async function textAt(handle: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(length), position });
  return buffer.toString("latin1", 0, bytesRead);
}

/** Cuts a listing back to what lies at or before `path`, and opens it to go on from there. */
export async function keepUpTo(file: string, path: BytePath): Promise<FileHandle> {
  let sizeBytes = 0;
  for await (const text of wholeLines(file)) {
    const thing = parseLine(text);
    if (text.startsWith(END) || (thing !== null && thing.path > path)) break;
    sizeBytes += text.length + 1;
  }
  const handle = await open(file, "r+");
  await handle.truncate(sizeBytes);
  await handle.close();
  return open(file, "a");
}

/** What a listing tells of, ascending. A listing that is absent tells of nothing. */
export async function* takenIn(file: string): AsyncGenerator<Taken> {
  for await (const text of wholeLines(file)) {
    const thing = parseLine(text);
    if (thing !== null) yield thing;
  }
}

function parseLine(text: string): Taken | null {
  const [path, mtimeMs, sizeBytes, etag] = text.split("\t");
  if (path === undefined || mtimeMs === undefined || sizeBytes === undefined) return null;
  const taken = { path: percentDecode(path), mtimeMs: Number(mtimeMs), sizeBytes: Number(sizeBytes) };
  return etag === undefined ? taken : { ...taken, etag: shownPath(percentDecode(etag)) };
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
    if (codeOf(error) !== "ENOENT") throw error;
  } finally {
    stream.destroy();
  }
}
