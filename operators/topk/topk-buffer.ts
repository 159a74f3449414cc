import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { SluiceError } from "../../schemas/errors.js";
import { keepDistinct } from "./distinct.js";
import { sortEntries } from "./radix-sort.js";
import { cutAfter, selectRank } from "./select.js";
import { copyEntry, IDENTITY_WORD, PLACE_WORD, readKey, WORDS, writeKey } from "./topk-entry.js";
import { TopkScratch } from "./topk-scratch.js";
import { bufferEntries, grownEntries, kByClass, type TopkParameters } from "./topk-size.js";

/** Words of a class that has none */
const NONE = new Uint32Array(0);

/**
 * Buffers of all classes: entries in order of arrival, more than are kept, until a full buffer is cut back. Duplicates
 * are removed before the cut, so that they neither evict an image nor raise a threshold.
 */
export class TopkBuffers {
  /** K + R of each class, [L] */
  readonly kept: Int32Array;
  /**
   * Least key of a candidate that may still enter a class, [L]: the floor until K + R images have been cut to. It may
   * lag behind what the buffer holds, never be ahead of it; after `trim` it is exact.
   */
  readonly thresholds: Float64Array;
  /** Entries in each class's buffer, [L] */
  readonly sizes: Int32Array;
  /** As many as `sizes` where a class's entries are its best images; fewer where more have come, [L] */
  readonly #trimmed: Int32Array;
  /** The same where they are sorted, too, [L] */
  readonly #settled: Int32Array;
  readonly #words: Uint32Array[];
  /** Identity of the last image that is in, [L x 4]; all bits set while a class is not full */
  readonly #lastIdentity: Uint32Array;
  readonly #scratch = new TopkScratch();

  constructor(parameters: TopkParameters) {
    this.kept = kByClass(parameters).map((k) => k + parameters.reserve);
    const { classes, floorKey = -Infinity } = parameters;
    this.thresholds = new Float64Array(classes).fill(floorKey);
    this.sizes = new Int32Array(classes);
    this.#trimmed = new Int32Array(classes);
    this.#settled = new Int32Array(classes);
    this.#lastIdentity = new Uint32Array(4 * classes).fill(0xffffffff);
    this.#words = Array.from({ length: classes }, () => NONE);
  }

  /** Words of a class's entries. Valid until the class changes. */
  words(classIndex: number): Uint32Array {
    return this.#words[classIndex]!;
  }

  /**
   * Takes in a batch and returns the rows whose key is not finite. Everything is in local variables: what lies below
   * its threshold costs little more than reading it. Throws E_INTERNAL for a class or an offset out of range, after
   * which this state must not be used.
   */
  take(batch: CandidateBatch): number[] | undefined {
    const { count, classes, keys, identity, partition, offset } = batch;
    const { thresholds, sizes } = this;
    const buffers = this.#words;
    let refused: number[] | undefined;
    for (let i = 0; i < count; i++) {
      const key = keys[i]!;
      const classIndex = classes[i]!;
      const threshold = thresholds[classIndex]!;
      if (key < threshold) {
        if (key === -Infinity) (refused ??= []).push(i);
        continue;
      }
      if (key - key !== 0) {
        (refused ??= []).push(i);
        continue;
      }
      const where = offset[i]!;
      if (classIndex >>> 0 >= sizes.length || !(where >= 0 && where < 2 ** 48))
        throw outOfRange(batch, i, sizes.length);
      if (key === threshold && this.#isBehindLast(classIndex, identity, 4 * i)) continue;
      let words = buffers[classIndex]!;
      let at = sizes[classIndex]! * WORDS;
      if (at === words.length) {
        at = this.#makeRoom(classIndex) * WORDS;
        words = buffers[classIndex]!;
      }
      sizes[classIndex]!++;
      writeKey(words, at, key);
      words[at + IDENTITY_WORD] = identity[4 * i]!;
      words[at + IDENTITY_WORD + 1] = identity[4 * i + 1]!;
      words[at + IDENTITY_WORD + 2] = identity[4 * i + 2]!;
      words[at + IDENTITY_WORD + 3] = identity[4 * i + 3]!;
      const high = Math.floor(where / 2 ** 32);
      words[at + PLACE_WORD] = (partition[i]! << 16) | high;
      words[at + PLACE_WORD + 1] = where - high * 2 ** 32;
    }
    return refused;
  }

  /** Takes in `count` entries of one class, in any order. */
  takeEntries(classIndex: number, entries: Uint32Array, count: number): void {
    for (let from = 0; from < count * WORDS; from += WORDS) {
      const key = readKey(entries, from);
      const threshold = this.thresholds[classIndex]!;
      if (key < threshold) continue;
      if (key === threshold && this.#isBehindLast(classIndex, entries, from + IDENTITY_WORD)) continue;
      let size = this.sizes[classIndex]!;
      if (size * WORDS === this.#words[classIndex]!.length) size = this.#makeRoom(classIndex);
      const words = this.#words[classIndex]!;
      copyEntry(entries, from, words, size * WORDS);
      this.sizes[classIndex] = size + 1;
    }
  }

  /** Drops repeats and what is beyond K + R. Returns how many are left, in no particular order. */
  trim(classIndex: number): number {
    const size = this.sizes[classIndex]!;
    if (this.#trimmed[classIndex] === size) return size;
    const words = this.#words[classIndex]!;
    const most = this.kept[classIndex]!;
    let left = keepDistinct(words, size, this.#scratch);
    if (left >= most) {
      const last = selectRank(words, left, most - 1, this.#scratch);
      this.#setThreshold(classIndex, last);
      cutAfter(words, left, most, last, this.#scratch);
      left = most;
    }
    this.sizes[classIndex] = left;
    this.#trimmed[classIndex] = left;
    this.#settled[classIndex] = 0;
    return left;
  }

  /** The same, sorted. */
  settle(classIndex: number): number {
    const size = this.sizes[classIndex]!;
    if (this.#settled[classIndex] === size) return size;
    const words = this.#words[classIndex]!;
    const distinct = this.#trimmed[classIndex] === size ? size : keepDistinct(words, size, this.#scratch);
    sortEntries(words, distinct, this.#scratch);
    const left = Math.min(distinct, this.kept[classIndex]!);
    this.opened(classIndex, left);
    return left;
  }

  /** Where the words of `count` sorted images of an empty class go; `opened` must follow. */
  open(classIndex: number, count: number): Uint32Array {
    return this.#grow(classIndex, count).subarray(0, count * WORDS);
  }

  /** Says that the first `count` entries are a class's images, sorted. */
  opened(classIndex: number, count: number): void {
    this.sizes[classIndex] = count;
    this.#trimmed[classIndex] = count;
    this.#settled[classIndex] = count;
    if (count === this.kept[classIndex]) this.#setThreshold(classIndex, count - 1);
  }

  #setThreshold(classIndex: number, last: number): void {
    const words = this.#words[classIndex]!;
    this.thresholds[classIndex] = readKey(words, last * WORDS);
    for (let word = 0; word < 4; word++) {
      this.#lastIdentity[4 * classIndex + word] = words[last * WORDS + IDENTITY_WORD + word]!;
    }
  }

  /** Whether an image whose key equals the threshold comes after all that are kept. */
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
    return this.trim(classIndex);
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

function outOfRange({ classes, offset }: CandidateBatch, row: number, classCount: number): SluiceError {
  return new SluiceError(
    "E_INTERNAL",
    `Expected a class in [0, ${classCount}) and an offset in [0, 2^48), found class ${classes[row]!} at offset ${offset[row]!}.`,
  );
}
