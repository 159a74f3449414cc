import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { SluiceError } from "../../../schemas/errors.js";
import { logCorrupt } from "./checked-table.js";

/**
 * lmdb's file as bytes, read without lmdb, which trusts every page and dies of a damaged one. All numbers are little-endian. A
 * page begins with its number u64, its transaction u64, 2 bytes, flags u16, and `lower` and `upper` u16 (of a run of overflow
 * pages their count u32). `lower` is the size of the list of its nodes' places, u16 each; places count from the header's end.
 */
export const LMDB_FILE = "data.mdb";

const HEADER_BYTES = 24;
const NODE_BYTES = 8;
const META_BYTES = 168;
/** Of a tree in a meta page, or in the main tree: pad u32, flags u16, depth u16, then pages, entries and the root as u64 */
const TREE_BYTES = 48;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const PAGE = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
const NODE = { overflow: 1, tree: 2 } as const;
/** Of the tree of free pages: its keys are numbers */
const INTEGER_KEYS = 8;
/** More than any file of ours: a greater map is a flipped bit */
const MOST_MAP_BYTES = 2 ** 46;

/** What a meta page, or an entry of the main tree, says of a tree. */
export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** null: it is empty */
  readonly root: number | null;
}

export interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: Tree;
  readonly main: Tree;
}

/** A place in a branch page: everything below `page` is at or above `key`. */
export interface Child {
  readonly key: Buffer;
  readonly page: number;
}

export interface LeafEntry {
  /** A view */
  readonly key: Buffer;
  readonly sizeBytes: number;
  /** A view; null: it lies in pages of its own */
  readonly value: Buffer | null;
  readonly overflow: { readonly page: number; readonly transaction: number; readonly pages: number } | null;
  readonly tree: Tree | null;
}

export type Page =
  | { readonly kind: "branch"; readonly transaction: number; readonly children: readonly Child[] }
  /** `transaction` wrote it */
  | { readonly kind: "leaf"; readonly transaction: number; readonly nodes: readonly LeafEntry[] };

export class LmdbFile {
  readonly folder: string;
  readonly sizeBytes: number;
  readonly #descriptor: number;
  #pageBytes = 4096;
  /** The memory of the page that was read last */
  #page = Buffer.alloc(0);

  /** Throws what `openSync` throws. */
  constructor(folder: string) {
    this.folder = folder;
    this.#descriptor = openSync(join(folder, LMDB_FILE), "r");
    this.sizeBytes = fstatSync(this.#descriptor).size;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  get pageBytes(): number {
    return this.#pageBytes;
  }

  get pages(): number {
    return Math.floor(this.sizeBytes / this.#pageBytes);
  }

  /** The newest of the two meta pages. Throws E_LOG_CORRUPT. */
  meta(): Meta {
    const first = this.#metaAt(0, 0);
    this.#pageBytes = first.pageBytes;
    const second = this.#metaAt(1, first.pageBytes);
    if (second.pageBytes !== first.pageBytes) throw this.damaged("its two meta pages differ in the size of a page");
    if (Math.abs(first.transaction - second.transaction) > 1) {
      throw this.damaged(
        `its meta pages are of transactions ${first.transaction} and ${second.transaction}, which do not follow on each other`,
      );
    }
    return first.transaction >= second.transaction ? first : second;
  }

  /** Both meta pages as they are: what a file was like when it was closed. */
  metaBytes(): Buffer {
    return Buffer.concat([this.#bytesAt(0, this.#pageBytes), this.#bytesAt(this.#pageBytes, this.#pageBytes)]);
  }

  #metaAt(number: number, offset: number): Meta {
    const bytes = this.#bytesAt(offset, META_BYTES);
    const said = (what: string): SluiceError => this.damaged(`its meta page ${number} has ${what}`);
    if (bytes.readBigUInt64LE(0) !== BigInt(number) || bytes.readUInt16LE(18) !== PAGE.meta)
      throw said("another header");
    if (bytes.readUInt32LE(24) !== MAGIC || bytes.readUInt32LE(28) !== FORMAT) throw said("another magic number");
    if (bytes.readBigUInt64LE(32) !== 0n) throw said("a fixed address");
    const free = treeAt(bytes, HEADER_BYTES + 24);
    const main = treeAt(bytes, HEADER_BYTES + 24 + TREE_BYTES);
    const pageBytes = bytes.readUInt32LE(HEADER_BYTES + 24);
    const at = HEADER_BYTES + 24 + 2 * TREE_BYTES;
    const lastPage = Number(bytes.readBigUInt64LE(at));
    const transaction = Number(bytes.readBigUInt64LE(at + 8));
    const mapBytes = Number(bytes.readBigUInt64LE(40));
    if (![4096, 8192, 16384, 32768, 65536].includes(pageBytes)) throw said(`pages of ${pageBytes} bytes`);
    if (mapBytes > MOST_MAP_BYTES || mapBytes % pageBytes !== 0) throw said(`a map of ${mapBytes} bytes`);
    if (transaction > 0 && mapBytes < (lastPage + 1) * pageBytes) throw said(`a map of ${mapBytes} bytes`);
    if (free.flags !== INTEGER_KEYS || main.flags !== 0) throw said("other flags");
    return { pageBytes, lastPage, transaction, free, main };
  }

  /** A page of a tree. Its views are valid until the next page is read. Throws E_LOG_CORRUPT where it contradicts itself. */
  page(number: number): Page {
    const page = this.pageIfAny(number);
    if (page === null) throw this.damaged(`its page ${number} is no page of a tree`);
    return page;
  }

  /** The same; null where it is no branch or leaf, or contradicts itself. */
  pageIfAny(number: number): Page | null {
    if (this.#page.length !== this.#pageBytes) this.#page = Buffer.alloc(this.#pageBytes);
    return pageOf(this.#read(this.#page, number * this.#pageBytes), number);
  }

  /** Whether a run of overflow pages begins at `page`, written by a transaction up to `newest`. */
  isOverflow(page: number, pages: number, newest = Number.POSITIVE_INFINITY): boolean {
    if (page + pages > this.pages) return false;
    const header = this.#bytesAt(page * this.#pageBytes, HEADER_BYTES);
    return (
      header.readBigUInt64LE(0) === BigInt(page) &&
      header.readUInt16LE(18) === PAGE.overflow &&
      header.readUInt32LE(20) === pages &&
      Number(header.readBigUInt64LE(8)) <= newest
    );
  }

  /** A value that lies in overflow pages. */
  overflowValue(page: number, sizeBytes: number): Buffer {
    return this.#bytesAt(page * this.#pageBytes + HEADER_BYTES, sizeBytes);
  }

  /** Pages that a run of overflow pages takes for a value. */
  overflowPages(sizeBytes: number): number {
    return Math.floor((HEADER_BYTES - 1 + sizeBytes) / this.#pageBytes) + 1;
  }

  /** Throws E_LOG_CORRUPT where the file ends before. */
  #bytesAt(position: number, length: number): Buffer {
    return this.#read(Buffer.allocUnsafe(length), position);
  }

  #read(into: Buffer, position: number): Buffer {
    const read = readSync(this.#descriptor, into, 0, into.length, position);
    if (read === into.length) return into;
    throw this.damaged(`it ends at ${position + read} bytes, and more belong to it`);
  }

  damaged(found: string): SluiceError {
    return logCorrupt(this.folder, found);
  }
}

/** What `bytes` say as the page of that number. */
function pageOf(bytes: Buffer, number: number): Page | null {
  const flags = bytes.readUInt16LE(18);
  if (bytes.readBigUInt64LE(0) !== BigInt(number) || (flags !== PAGE.branch && flags !== PAGE.leaf)) return null;
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  const room = bytes.length - HEADER_BYTES;
  if (lower % 2 !== 0 || lower > upper || upper > room) return null;
  const children: Child[] = [];
  const nodes: LeafEntry[] = [];
  for (let at = HEADER_BYTES; at < HEADER_BYTES + lower; at += 2) {
    const place = bytes.readUInt16LE(at);
    if (place < upper || place + NODE_BYTES > room) return null;
    const start = HEADER_BYTES + place;
    const keyEnd = start + NODE_BYTES + bytes.readUInt16LE(start + 6);
    if (keyEnd > bytes.length) return null;
    const key = bytes.subarray(start + NODE_BYTES, keyEnd);
    const low = bytes.readUInt32LE(start);
    const nodeFlags = bytes.readUInt16LE(start + 4);
    if (flags === PAGE.branch) {
      children.push({ key: Buffer.from(key), page: low + nodeFlags * 2 ** 32 });
      continue;
    }
    const node = leafEntry(bytes, { key, keyEnd, sizeBytes: low, flags: nodeFlags });
    if (node === null) return null;
    nodes.push(node);
  }
  const transaction = Number(bytes.readBigUInt64LE(8));
  return flags === PAGE.branch ? { kind: "branch", transaction, children } : { kind: "leaf", transaction, nodes };
}

function treeAt(bytes: Buffer, at: number): Tree {
  const number = (offset: number): number => Number(bytes.readBigUInt64LE(at + offset));
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: number(8),
    leafPages: number(16),
    overflowPages: number(24),
    entries: number(32),
    root: root === NO_PAGE ? null : Number(root),
  };
}

function leafEntry(
  bytes: Buffer,
  { key, keyEnd, sizeBytes, flags }: { key: Buffer; keyEnd: number; sizeBytes: number; flags: number },
): LeafEntry | null {
  if (flags === NODE.overflow) {
    // Page u64, transaction u64, pages u64
    if (keyEnd + 24 > bytes.length) return null;
    const overflow = {
      page: Number(bytes.readBigUInt64LE(keyEnd)),
      transaction: Number(bytes.readBigUInt64LE(keyEnd + 8)),
      pages: Number(bytes.readBigUInt64LE(keyEnd + 16)),
    };
    return { key, sizeBytes, value: null, overflow, tree: null };
  }
  if (keyEnd + sizeBytes > bytes.length || (flags !== 0 && flags !== NODE.tree)) return null;
  const value = bytes.subarray(keyEnd, keyEnd + sizeBytes);
  if (flags === 0) return { key, sizeBytes, value, overflow: null, tree: null };
  return sizeBytes === TREE_BYTES ? { key, sizeBytes, value, overflow: null, tree: treeAt(bytes, keyEnd) } : null;
}
