import { counted } from "../../../schemas/counted.js";
import type { SluiceError } from "../../../schemas/errors.js";
import { valueOf } from "./checked-table.js";
import { LmdbFile, type LeafEntry, type Meta, type Tree } from "./lmdb-file.js";

export interface Walked {
  readonly pages: number;
  readonly entries: number;
}

/**
 * Walks all trees of a log's file without lmdb: each page says what it should, keys ascend, counts add up, and no page belongs to two
 * things, free pages included. `values`: also whether each entry is as it was written; without it they are left unread. Throws
 * E_LOG_CORRUPT, and what opening the file throws.
 */
export function walkLogFile(folder: string, { values = false } = {}): Walked {
  const file = new LmdbFile(folder);
  try {
    return new Walk(file, file.meta(), values).run();
  } finally {
    file.close();
  }
}

/** What is left to look at below one page: keys in [from, to). */
interface Below {
  readonly page: number;
  readonly depth: number;
  readonly from: Buffer | null;
  readonly to: Buffer | null;
}

class Walk {
  readonly #file: LmdbFile;
  readonly #meta: Meta;
  readonly #values: boolean;
  /** 1 for a page that something has */
  readonly #taken: Uint8Array;
  #pages = 0;
  #entries = 0;

  constructor(file: LmdbFile, meta: Meta, values: boolean) {
    this.#file = file;
    this.#meta = meta;
    this.#values = values;
    if (meta.lastPage > file.pages + MOST_FREE_AT_END)
      throw file.damaged(`it ends long before its page ${meta.lastPage}`);
    this.#taken = new Uint8Array(meta.lastPage + 1);
  }

  run(): Walked {
    this.#take(0, 2, "its meta pages");
    const named: [string, Tree][] = [];
    this.#tree("the main tree", this.#meta.main, compareBytes, ({ key, tree }) => {
      if (tree !== null) named.push([key.toString("latin1"), tree]);
    });
    for (const [name, tree] of named) {
      if (tree.flags !== 0) throw this.#file.damaged(`its table "${name}" has other flags`);
      this.#tree(`the table "${name}"`, tree, compareBytes, (node) => {
        if (this.#values) this.#assertAsWritten(name, node);
      });
    }
    const free: Buffer[] = [];
    this.#tree("the list of free pages", this.#meta.free, compareNumbers, (node) => {
      free.push(Buffer.from(this.#valueOf(node)));
    });
    for (const list of free) this.#takeFree(list);
    return { pages: this.#pages, entries: this.#entries };
  }

  #tree(name: string, tree: Tree, compare: Compare, onNode: (node: LeafEntry) => void): void {
    const newest = this.#meta.transaction;
    const counts = { branch: 0, leaf: 0, overflow: 0, entries: 0 };
    const below: Below[] = tree.root === null ? [] : [{ page: tree.root, depth: 1, from: null, to: null }];
    for (let next = below.pop(); next !== undefined; next = below.pop()) {
      this.#take(next.page, 1, name);
      const page = this.#file.page(next.page);
      this.#pages++;
      const place = next.page;
      const wrong = (what: string): SluiceError => this.#file.damaged(`page ${place} of ${name} ${what}`);
      // lmdb takes a page of a later transaction for its own, which it may free.
      if (page.transaction > newest) throw wrong("was written later than the file");
      if ((page.kind === "leaf") !== (next.depth === tree.depth)) throw wrong("lies at another depth");
      if (page.kind === "branch") {
        counts.branch++;
        const { children } = page;
        if (children.length < 2) throw wrong("has fewer than two pages below it");
        for (let at = children.length - 1; at >= 0; at--) {
          // The first key of a branch stands for everything below the second.
          const from = at === 0 ? next.from : children[at]!.key;
          const to = children[at + 1]?.key ?? next.to;
          if (from !== null && to !== null && compare(from, to) >= 0) throw wrong("has keys out of order");
          below.push({ page: children[at]!.page, depth: next.depth + 1, from, to });
        }
        continue;
      }
      counts.leaf++;
      let last: Buffer | null = null;
      for (const node of page.nodes) {
        const { key, overflow, sizeBytes } = node;
        const inOrder = last === null ? next.from === null || compare(next.from, key) <= 0 : compare(last, key) < 0;
        if (!inOrder || (next.to !== null && compare(key, next.to) >= 0)) throw wrong("has keys out of order");
        last = key;
        counts.entries++;
        if (overflow === null) continue;
        if (overflow.pages !== this.#file.overflowPages(sizeBytes))
          throw wrong("has a value of another size than its pages");
        this.#take(overflow.page, overflow.pages, name);
        counts.overflow += overflow.pages;
      }
      // Overflow pages are read once the page's own views are done with.
      for (const { overflow } of page.nodes)
        if (
          overflow !== null &&
          (overflow.transaction > newest || !this.#file.isOverflow(overflow.page, overflow.pages, newest))
        )
          throw wrong(`has a value in page ${overflow.page}, which is none of a value`);
      for (const node of page.nodes) onNode(node);
    }
    this.#entries += counts.entries;
    const { branchPages, leafPages, overflowPages, entries } = tree;
    if (
      counts.branch !== branchPages ||
      counts.leaf !== leafPages ||
      counts.overflow !== overflowPages ||
      counts.entries !== entries
    )
      throw this.#file.damaged(
        `${name} has ${counted(counts.entries, "entry", "entries")} in ${counts.branch + counts.leaf + counts.overflow} pages, and should have ` +
          `${entries} in ${branchPages + leafPages + overflowPages}`,
      );
  }

  #valueOf({ value, overflow, sizeBytes }: LeafEntry): Buffer {
    return value ?? this.#file.overflowValue(overflow!.page, sizeBytes);
  }

  #assertAsWritten(table: string, node: LeafEntry): void {
    if (valueOf(node.key, this.#valueOf(node)) !== null) return;
    const key = JSON.stringify(node.key.toString("latin1"));
    throw this.#file.damaged(
      `the entry ${key} of its table "${table}" has another checksum than the one written with it`,
    );
  }

  #take(page: number, pages: number, by: string): void {
    if (page < 0 || pages < 1 || page + pages - 1 > this.#meta.lastPage)
      throw this.#file.damaged(`${by} leads to page ${page}, and the last one is ${this.#meta.lastPage}`);
    for (let at = page; at < page + pages; at++) {
      if (this.#taken[at] === 1) throw this.#file.damaged(`${by} leads to page ${at}, which belongs to something else`);
      this.#taken[at] = 1;
    }
  }

  /** A count, then pages: a page's number, or the negative length of a run of pages and its first; 0 is nothing. */
  #takeFree(list: Buffer): void {
    const by = "the list of free pages";
    const count = list.length < 8 ? -1 : Number(list.readBigUInt64LE(0));
    if (count < 0 || 8 * (count + 1) > list.length) throw this.#file.damaged(`${by} has an entry that is too short`);
    for (let at = 1; at <= count; at++) {
      const number = Number(list.readBigInt64LE(8 * at));
      if (number > 0) this.#take(number, 1, by);
      if (number >= 0) continue;
      at++;
      if (at > count) throw this.#file.damaged(`${by} has an entry that is too short`);
      this.#take(Number(list.readBigInt64LE(8 * at)), -number, by);
    }
  }
}

/** Pages at the file's end that are free need not be in it. Some 64 MB. */
const MOST_FREE_AT_END = 16_384;

type Compare = (a: Buffer, b: Buffer) => number;

const compareBytes: Compare = (a, b) => Buffer.compare(a, b);
const compareNumbers: Compare = (a, b) => Number(a.readBigUInt64LE(0) - b.readBigUInt64LE(0));
