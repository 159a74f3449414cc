import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract, type Extract, type Header } from "tar-stream";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { bytePath, fsPath, shownPath, type BytePath } from "./byte-path.js";

/** A regular file in a shard. */
export interface Member {
  readonly name: BytePath;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** Where its bytes begin, in the (decompressed) shard */
  readonly offset: number;
  /** Its bytes; only before the next member is asked for. A member that is not read is passed over. */
  readonly read: () => Promise<Uint8Array>;
}

const BLOCK_BYTES = 512;

/** tar-stream knows this option and this field; its types do not. */
type ExtractOptions = NonNullable<Parameters<typeof extract>[0]> & { filenameEncoding: BufferEncoding };
type PlacedHeader = Header & { readonly byteOffset: number; readonly pax?: { readonly path?: string } | null };
type Entry = Extract extends AsyncIterable<infer Each> ? Each : never;

/**
 * The regular files of a tar shard, in its order; gzip is known by its first bytes, not by the shard's name.
 * Throws E_SOURCE_READ where the shard breaks off or is no tar, after the members before that place.
 */
export async function* membersOf(shard: BytePath): AsyncGenerator<Member> {
  /** The last whole member, and where it ends: known when the next one begins */
  let whole: Place | null = null;
  let current: Place | null = null;
  const fail = (error: unknown): never => {
    throw error instanceof SluiceError ? error : broken(shard, whole, error);
  };
  try {
    const compressed = await isGzip(shard);
    const unpacked = extract({ filenameEncoding: "latin1" } as ExtractOptions);
    const bytes = createReadStream(fsPath(shard), { highWaterMark: 256 * 1024 });
    // Errors of any part reach the loop below through `unpacked`.
    if (compressed) pipeline(bytes, createGunzip(), unpacked, () => undefined);
    else pipeline(bytes, unpacked, () => undefined);
    for await (const entry of unpacked) {
      whole = current;
      const header = entry.header as PlacedHeader;
      const name = nameOf(header);
      const { size: sizeBytes, type, byteOffset: offset, mtime } = header;
      if (type === "file" || type === "contiguous-file") {
        yield {
          name,
          sizeBytes,
          mtimeMs: mtime.getTime(),
          offset,
          read: () => contentOf(entry, sizeBytes).catch(fail),
        };
      }
      entry.resume();
      current = { name, end: offset + sizeBytes };
    }
    whole = current;
    if (!compressed && !(await hasEnd(shard))) throw new Error("no end-of-archive mark");
  } catch (error) {
    fail(error);
  }
}

/** Names beyond the header's own field come as text (PAX) or in the encoding asked for (GNU). */
function nameOf({ name, pax }: PlacedHeader): BytePath {
  return pax?.path === undefined ? name : bytePath(name);
}

async function contentOf(entry: Entry, sizeBytes: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let at = 0;
  for await (const chunk of entry as AsyncIterable<Buffer>) at += chunk.copy(bytes, at);
  return bytes.subarray(0, at);
}

export async function isGzip(shard: BytePath): Promise<boolean> {
  return withFile(shard, async (handle) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  });
}

/** Whether a block of zeros closes the shard: without it, a shard cut between two members would pass for a whole one. */
async function hasEnd(shard: BytePath): Promise<boolean> {
  return withFile(shard, async (handle) => {
    const { size } = await handle.stat();
    if (size < BLOCK_BYTES || size % BLOCK_BYTES !== 0) return false;
    const { buffer } = await handle.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, size - BLOCK_BYTES);
    return buffer.every((byte) => byte === 0);
  });
}

async function withFile<T>(shard: BytePath, task: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(fsPath(shard), "r");
  try {
    return await task(handle);
  } finally {
    await handle.close();
  }
}

interface Place {
  readonly name: BytePath;
  readonly end: number;
}

function broken(shard: BytePath, whole: Place | null, cause: unknown): SluiceError {
  const place = whole === null ? "at its start" : `after "${shownPath(whole.name)}", which ends at byte ${whole.end}`;
  return new SluiceError(
    "E_SOURCE_READ",
    `Expected a whole tar shard (.tar or .tar.gz) at ${shownPath(shard)}, found it broken ${place}: ${messageOf(cause)}. ` +
      "Fetch it again and run `sluice ingest` again: what it has before that place is taken in.",
    { cause, shard: shownPath(shard), byte: whole?.end ?? 0 },
  );
}
