import { bytePath, type BytePath } from "../byte-path.js";
import type { ByteRun } from "./byte-run.js";
import { gnuMap, paxMap, type SparseMap } from "./sparse-map.js";
import { BLOCK_BYTES, isTarBlock, parseHeader, parsePax, type PaxRecords, type TarHeader } from "./tar-header.js";

/** What a member is. "other": devices, pipes, what only one writer knows. */
export type MemberKind = "file" | "hard link" | "symbolic link" | "folder" | "other";

export interface MemberHeader {
  readonly name: BytePath;
  readonly kind: MemberKind;
  /** Of a file, with the zeros of a sparse one */
  readonly sizeBytes: number;
  /** 0 where the writer left it out */
  readonly mtimeMs: number;
  /** Where its bytes begin, in the (unpacked) shard: no two members have the same */
  readonly offset: number;
  /** What a link leads to, as it is written; "" of what is no link */
  readonly target: BytePath;
  /** Where the stored bytes of a sparse file belong; null for a file that is stored whole */
  readonly sparse: SparseMap | null;
}

const KINDS: Readonly<Record<string, MemberKind>> = {
  "0": "file",
  "1": "hard link",
  "2": "symbolic link",
  "5": "folder",
  "7": "file",
  S: "file",
};

/** Headers that say something of the member after them may be large (maps, file attributes), but not endless. */
const MOST_HEADER_BYTES = 64 * 1024 * 1024;

/** The members of one tar, read from the first to the last. */
export class TarMembers {
  readonly #run: ByteRun;
  /** Of the whole tar, where it is known: a member that reaches beyond it is not there */
  readonly #tarBytes: number | null;
  /** Read already, to see whether it is a header */
  #ahead: Buffer | null = null;
  #global: PaxRecords = [];
  #current: MemberHeader | null = null;
  /** Of the current member, what is not read of its bytes and their padding */
  #left = 0;

  constructor(run: ByteRun, tarBytes: number | null) {
    this.#run = run;
    this.#tarBytes = tarBytes;
  }

  /** The next member, null at the end. Throws where the tar breaks off, and where what should be a header is none. */
  async next(): Promise<MemberHeader | null> {
    await this.pass();
    let own: PaxRecords = [];
    let longName: BytePath | null = null;
    let longTarget: BytePath | null = null;
    let ended = false;
    for (;;) {
      const block = await this.#block();
      if (block === null) {
        if (ended) return null;
        throw new Error(
          this.#run.at === 0 ? "it has no bytes" : "it has no end-of-archive mark, so that members may be missing",
        );
      }
      let header: TarHeader | null;
      try {
        header = parseHeader(block);
      } catch (error) {
        // Beyond the end mark anything may stand.
        if (ended) return null;
        throw error;
      }
      if (header === null) {
        // Two tars that were joined have the first one's end between them.
        ended = true;
        continue;
      }
      ended = false;
      if (header.type === "x" || header.type === "X") own = parsePax(await this.#text(header));
      else if (header.type === "g") this.#global = [...this.#global, ...parsePax(await this.#text(header))];
      else if (header.type === "L") longName = untilNul(await this.#text(header));
      else if (header.type === "K") longTarget = untilNul(await this.#text(header));
      else return this.#begin(block, header, [...this.#global, ...own], longName, longTarget, own.length > 0);
    }
  }

  /** The bytes of the member that `next` gave last. */
  async read(): Promise<Uint8Array> {
    const member = this.#current!;
    const before = this.#run.at;
    const bytes = await readMember(this.#run, member);
    this.#left -= this.#run.at - before;
    return bytes;
  }

  /** Passes over what is not read of the current member. Throws where its bytes break off. */
  async pass(): Promise<void> {
    if (this.#current === null) return;
    const padding = (BLOCK_BYTES - (this.#storedBytes % BLOCK_BYTES)) % BLOCK_BYTES;
    const left = this.#left;
    this.#current = null;
    this.#left = 0;
    if ((await this.#run.skip(left)) < left) throw new Error("it ends within that member");
    await this.#run.skip(padding);
  }

  #storedBytes = 0;

  async #begin(
    block: Buffer,
    header: TarHeader,
    records: PaxRecords,
    longName: BytePath | null,
    longTarget: BytePath | null,
    isPax: boolean,
  ): Promise<MemberHeader> {
    const valueOf = (key: string): string | undefined => {
      const value = records.findLast(([each]) => each === key)?.[1];
      return value === "" ? undefined : value;
    };
    const name = valueOf("GNU.sparse.name") ?? valueOf("path") ?? longName ?? header.name;
    const target = valueOf("linkpath") ?? longTarget ?? header.linkName;
    const size = Number(valueOf("size") ?? header.sizeBytes);
    const mtimeS = Number(valueOf("mtime") ?? header.mtimeS);
    if (!(size >= 0)) throw new Error(`the header of "${bytesAsText(name)}" has no size`);
    // Before there was a type for folders their names ended so.
    const isFolder = header.type === "0" && name.endsWith("/");
    const kind = isFolder ? "folder" : (KINDS[header.type] ?? "other");
    const headerEnd = this.#run.at;
    const sparse =
      header.type === "S" ? await gnuMap(block, this.#run) : kind === "file" ? await paxMap(records, this.#run) : null;
    const offset = this.#run.at;
    // The map that stands before the bytes is one of them for pax, not for GNU's own kind.
    const mapBytes = header.type === "S" ? 0 : offset - headerEnd;
    const stored = (await this.#hasBytes(header, size, isPax)) ? Math.max(0, size - mapBytes) : 0;
    if (this.#tarBytes !== null && kind === "file" && offset + stored > this.#tarBytes) {
      throw new Error(`it ends within "${bytesAsText(name)}"`);
    }
    this.#storedBytes = stored;
    this.#left = stored;
    this.#current = {
      name,
      kind,
      sizeBytes: sparse?.fileBytes ?? stored,
      mtimeMs: Number.isFinite(mtimeS) ? mtimeS * 1000 : 0,
      offset,
      target: kind === "hard link" || kind === "symbolic link" ? target : "",
      sparse,
    };
    return this.#current;
  }

  /** Folders, devices and symbolic links have no bytes whatever size they state; a hard link has them for some writers. */
  async #hasBytes({ type }: TarHeader, size: number, isPax: boolean): Promise<boolean> {
    if (size === 0 || /^[23456]$/.test(type)) return false;
    if (type !== "1" || isPax) return true;
    this.#ahead = await this.#block();
    if (this.#ahead === null) return false;
    if (isTarBlock(this.#ahead)) return false;
    // No header: then it is the link's bytes, of which the first block is read.
    const { length } = this.#ahead;
    this.#ahead = null;
    const rest = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES - length;
    if ((await this.#run.skip(rest)) < rest) throw new Error("it ends within a hard link");
    return false;
  }

  /** The next block, null at the end. */
  async #block(): Promise<Buffer | null> {
    if (this.#ahead !== null) {
      const ahead = this.#ahead;
      this.#ahead = null;
      return ahead;
    }
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const filled = await this.#run.fill(block);
    if (filled === 0) return null;
    if (filled < BLOCK_BYTES) {
      if (block.subarray(0, filled).every((byte) => byte === 0)) return null;
      throw new Error("it ends within a header");
    }
    return block;
  }

  /** The bytes of a header that says something of the member after it. */
  async #text({ sizeBytes }: TarHeader): Promise<Buffer> {
    if (!(sizeBytes >= 0 && sizeBytes <= MOST_HEADER_BYTES))
      throw new Error("a header has no size that could be right");
    const padded = Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    const bytes = Buffer.alloc(padded);
    if ((await this.#run.fill(bytes)) < padded) throw new Error("it ends within a header");
    return bytes.subarray(0, sizeBytes);
  }
}

/** A member's bytes, from where they begin; a sparse one's with its zeros. Throws where they break off. */
export async function readMember(run: Pick<ByteRun, "fill">, { sizeBytes, sparse }: MemberHeader): Promise<Uint8Array> {
  // Not from the pool: the bytes given belong to the caller alone.
  const bytes = sparse === null ? Buffer.allocUnsafeSlow(sizeBytes) : Buffer.from(new ArrayBuffer(sizeBytes));
  for (const extent of sparse?.extents ?? [{ offset: 0, sizeBytes }]) {
    const piece = bytes.subarray(extent.offset, extent.offset + extent.sizeBytes);
    if ((await run.fill(piece)) < piece.length) throw new Error("it ends within that member");
  }
  return bytes;
}

function untilNul(bytes: Buffer): BytePath {
  const end = bytes.indexOf(0);
  return bytePath(end === -1 ? bytes : bytes.subarray(0, end));
}

function bytesAsText(name: BytePath): string {
  return Buffer.from(name, "latin1").toString();
}
