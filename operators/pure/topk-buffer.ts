import { keepDistinct } from "./distinct.js";
import { sortEntries } from "./radix-sort.js";
import { cutAfter, selectRank } from "./select.js";
import { IDENTITY_WORD, readKey, WORDS } from "./topk-entry.js";
import { TopkScratch } from "./topk-scratch.js";
import { bufferEntries, grownEntries, kByClass, type TopkParameters } from "./topk-size.js";

/**
 * Buffers of all classes: entries in order of arrival, more than are kept, until a full buffer is cut back. Duplicates
 * are removed before the cut, so that they neither evict an image nor raise a threshold.
 */
export class TopkBuffers {
  /** K + R of each class, [L] */
  readonly kept: Int32Array;
  /**
   * Least key of a candidate that may still enter a class, [L]: the floor until K + R images have been cut to. It may
   * lag behind what the buffer holds, never be ahead of it; after `settle` it is exact.
   */
  readonly thresholds: Float64Array;
  /** Entries in each class's buffer, [L] */
  readonly sizes: Int32Array;
  /** The first so many entries of a class are its best images, sorted; fewer than `sizes` where more have come, [L] */
  readonly settled: Int32Array;
  readonly #words: Uint32Array[];
  /** Identity of the last image that is in, [L x 4]; all bits set while a class is not full */
  readonly #lastIdentity: Uint32Array;
  readonly #scratch = new TopkScratch();

  constructor(parameters: TopkParameters) {
    this.kept = kByClass(parameters).map((k) => k + parameters.reserve);
    const { classes, floorKey = -Infinity } = parameters;
    this.thresholds = new Float64Array(classes).fill(floorKey);
    this.sizes = new Int32Array(classes);
    this.settled = new Int32Array(classes);
    this.#lastIdentity = new Uint32Array(4 * classes).fill(0xffffffff);
    const none = new Uint32Array(0);
    this.#words = Array.from({ length: classes }, () => none);
  }

  /** Words of a class's entries. Valid until the class changes. */
  words(classIndex: number): Uint32Array {
    return this.#words[classIndex]!;
  }

  /**
   * Makes room for one more entry and returns where its words go, or -1 if an image of that identity, with a key equal
   * to the threshold, comes after all that are kept. The caller has compared the key with the threshold.
   */
  place(classIndex: number, key: number, identity: Uint32Array, at: number): number {
    if (key === this.thresholds[classIndex] && this.#isBehindLast(classIndex, identity, at)) return -1;
    let size = this.sizes[classIndex]!;
    if (size * WORDS === this.#words[classIndex]!.length) size = this.#makeRoom(classIndex);
    this.sizes[classIndex] = size + 1;
    return size * WORDS;
  }

  /** Sorts a class's images and drops what is beyond K + R. Returns how many are left. */
  settle(classIndex: number): number {
    const size = this.sizes[classIndex]!;
    if (this.settled[classIndex] === size) return size;
    const words = this.#words[classIndex]!;
    const distinct = keepDistinct(words, size, this.#scratch);
    sortEntries(words, distinct, this.#scratch);
    return this.settleAt(classIndex, distinct);
  }

  /** Where the words of `count` sorted images of an empty class go; `settleAt` must follow. */
  open(classIndex: number, count: number): Uint32Array {
    return this.#grow(classIndex, count).subarray(0, count * WORDS);
  }

  /** Says that a class's first `sorted` entries are its images, sorted. Returns how many are kept of them. */
  settleAt(classIndex: number, sorted: number): number {
    const most = this.kept[classIndex]!;
    const left = Math.min(sorted, most);
    this.sizes[classIndex] = left;
    this.settled[classIndex] = left;
    if (left === most) this.#setThreshold(classIndex, left - 1);
    return left;
  }

  #setThreshold(classIndex: number, last: number): void {
    const words = this.#words[classIndex]!;
    this.thresholds[classIndex] = readKey(words, last * WORDS);
    for (let word = 0; word < 4; word++) {
      this.#lastIdentity[4 * classIndex + word] = words[last * WORDS + IDENTITY_WORD + word]!;
    }
  }

  #isBehindLast(classIndex: number, identity: Uint32Array, at: number): boolean {
    for (let word = 0; word < 4; word++) {
      const mine = identity[at + word]!;
      const last = this.#lastIdentity[4 * classIndex + word]!;
      if (mine !== last) return mine > last;
    }
    return false;
  }

  /** Grows the buffer, or, where it is as large as it may be, cuts it back. Returns the entries in it. */
  #makeRoom(classIndex: number): number {
    const size = this.sizes[classIndex]!;
    const most = this.kept[classIndex]!;
    if (size < bufferEntries(most)) {
      this.#grow(classIndex, size + 1);
      return size;
    }
    const words = this.#words[classIndex]!;
    let left = keepDistinct(words, size, this.#scratch);
    if (left > most) {
      const last = selectRank(words, left, most - 1, this.#scratch);
      this.#setThreshold(classIndex, last);
      cutAfter(words, left, most, last, this.#scratch);
      left = most;
    }
    this.settled[classIndex] = 0;
    this.sizes[classIndex] = left;
    return left;
  }

  #grow(classIndex: number, needed: number): Uint32Array {
    const words = this.#words[classIndex]!;
    if (words.length >= needed * WORDS) return words;
    const grown = new Uint32Array(WORDS * grownEntries(needed, bufferEntries(this.kept[classIndex]!)));
    grown.set(words.subarray(0, this.sizes[classIndex]! * WORDS));
    this.#words[classIndex] = grown;
    return grown;
  }
}
