import { open, type FileHandle } from "node:fs/promises";
import { messageOf, SluiceError } from "../../../schemas/errors.js";
import { fsPath, shownPath, type BytePath } from "../byte-path.js";
import { shellWord } from "../../../schemas/shell-word.js";
import { ChunkRun, FileRun, type ByteRun } from "./byte-run.js";
import { PACKED_CHUNK_BYTES, packingOf, unpackerOf, type Packing, type Unpacker } from "./packing.js";
import { readMember, TarMembers, type MemberHeader } from "./tar-members.js";

/**
 * An open tar shard of any dialect, or several that were written one after the other. How it is packed is known by its first bytes, not by
 * its name. `members` and `read` throw E_SOURCE_READ where the shard breaks off, after the members before that place.
 */
export class TarShard {
  /** Members of a packed shard are read in their order only, each before the next is asked for; of another one at any time. */
  readonly isPacked: boolean;
  readonly #path: BytePath;
  readonly #handle: FileHandle;
  readonly #run: ByteRun;
  readonly #members: TarMembers;
  /** The last whole member, and where it ends */
  #whole: Place | null = null;
  /** The one that `members` gave last, whose bytes come next */
  #current: MemberHeader | null = null;

  constructor(path: BytePath, handle: FileHandle, sizeBytes: number, unpacker: Unpacker | null) {
    this.isPacked = unpacker !== null;
    this.#path = path;
    this.#handle = handle;
    this.#run = unpacker === null ? new FileRun(handle, sizeBytes) : new ChunkRun(unpacker(chunksOf(handle)));
    this.#members = new TarMembers(this.#run, unpacker === null ? sizeBytes : null);
  }

  /** Each member once, in the shard's order. */
  async *members(): AsyncGenerator<MemberHeader> {
    try {
      for (let member = await this.#members.next(); member !== null; member = await this.#members.next()) {
        this.#current = member;
        yield member;
        this.#current = null;
        await this.#members.pass();
        this.#whole = { name: member.name, end: member.offset + member.sizeBytes };
      }
    } catch (error) {
      throw broken(this.#path, this.#whole, error);
    }
  }

  /** A member's bytes; those of a sparse one with its zeros. */
  async read(member: MemberHeader): Promise<Uint8Array> {
    try {
      if (member !== this.#current) return await readMember(new Positioned(this.#handle, member.offset), member);
      this.#current = null;
      return await this.#members.read();
    } catch (error) {
      throw broken(this.#path, this.#whole, error);
    }
  }

  async close(): Promise<void> {
    await this.#run.close();
    await this.#handle.close();
  }
}

/** Opens a shard. Throws E_SOURCE_READ where it cannot be opened, or is packed in a way that is not read here. */
export async function openShard(path: BytePath): Promise<TarShard> {
  const handle = await open(fsPath(path), "r").catch((error: unknown) => {
    throw broken(path, null, error);
  });
  try {
    const { size } = await handle.stat();
    const packing = await packingIn(handle);
    const unpacker = packing === "none" ? null : unpackerOf(packing);
    if (unpacker === undefined) throw notUnpacked(path, packing);
    return new TarShard(path, handle, size, unpacker);
  } catch (error) {
    await handle.close();
    throw error instanceof SluiceError ? error : broken(path, null, error);
  }
}

/** How a file is packed, by its first bytes. Throws what opening it throws. */
export async function packingAt(path: BytePath): Promise<Packing> {
  const handle = await open(fsPath(path), "r");
  try {
    return await packingIn(handle);
  } finally {
    await handle.close();
  }
}

async function packingIn(handle: FileHandle): Promise<Packing> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0);
  return packingOf(buffer.subarray(0, bytesRead));
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(PACKED_CHUNK_BYTES), 0, PACKED_CHUNK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Reads a file from a place on. */
class Positioned implements Pick<ByteRun, "fill"> {
  readonly #handle: FileHandle;
  #at: number;

  constructor(handle: FileHandle, at: number) {
    this.#handle = handle;
    this.#at = at;
  }

  async fill(bytes: Buffer): Promise<number> {
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, this.#at);
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#at += bytesRead;
    }
    return filled;
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
    `Expected a whole tar shard (.tar, .tar.gz or .tar.zst) at ${shownPath(shard)}, found it broken ${place}: ${messageOf(cause)}. ` +
      "What it has before that place is taken in. Fetch it again, and run the same command again.",
    { cause, shard: shownPath(shard), byte: whole?.end ?? 0 },
  );
}

const UNPACKED_BY: Partial<Record<Packing, (path: string) => string>> = {
  xz: (path) => `xz -dk ${path}`,
  bzip2: (path) => `bzip2 -dk ${path}`,
  lz4: (path) => `lz4 -d ${path}`,
  zip: (path) => `unzip ${path} -d <folder>`,
  "7z": (path) => `7z x ${path} -o<folder>`,
  rar: (path) => `unrar x ${path} <folder>`,
};

/** The refusal of a file that is packed in a way that is not read here: how to unpack it. */
export function notUnpacked(shard: BytePath, packing: Packing): SluiceError {
  const path = shownPath(shard);
  const isTar = packing === "xz" || packing === "bzip2" || packing === "lz4";
  return new SluiceError(
    "E_SOURCE_READ",
    `Expected a folder of images or tar shards (.tar, .tar.gz, .tar.zst), found ${packing} at ${path}. ` +
      `Unpack it with \`${UNPACKED_BY[packing]?.(shellWord(path)) ?? ""}\`, then give ${isTar ? "the .tar" : "the folder"} instead.`,
    { shard: path, packing },
  );
}
