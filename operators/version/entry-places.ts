import type { TopkRows } from "../topk/topk.js";

/** Of an entry: partition (16 bits) and offset (48), then the digest's first */
const WORDS = 3;
const WORD = 2 ** 32;
const DIGIT_BITS = 16;
const DIGIT_MASK = 2 ** DIGIT_BITS - 1;
/** The word of each digit, and where in it: the lowest digit first */
const DIGITS = [
  [1, 0],
  [1, DIGIT_BITS],
  [0, 0],
  [0, DIGIT_BITS],
] as const;

/**
 * Where ranked entries are archived: columns, since a version may have millions of rows; 16 bytes an entry, 20 while they are sorted. Entries are numbered as they are
 * added. After `sort`, `order` has them by (partition, offset).
 */
export class EntryPlaces {
  readonly count: number;
  order: Uint32Array<ArrayBuffer>;
  /** Of each entry beside each other, since they are looked up in no order: where it lies, two words, and the first word of its image's digest */
  readonly #words: Uint32Array;
  #added = 0;

  constructor(count: number) {
    this.count = count;
    this.order = new Uint32Array(count);
    this.#words = new Uint32Array(WORDS * count);
  }

  static of(lists: readonly TopkRows[]): EntryPlaces {
    const places = new EntryPlaces(lists.reduce((sum, { count }) => sum + count, 0));
    for (const rows of lists) places.add(rows);
    places.sort();
    return places;
  }

  add({ count, partition, offset, identity }: TopkRows): void {
    for (let row = 0, entry = this.#added; row < count; row++, entry++) {
      const at = offset[row]!;
      this.#words[WORDS * entry] = partition[row]! * 2 ** DIGIT_BITS + Math.floor(at / WORD);
      this.#words[WORDS * entry + 1] = at % WORD;
      this.#words[WORDS * entry + 2] = identity[4 * row]!;
    }
    this.#added += count;
  }

  partitionOf(entry: number): number {
    return this.#words[WORDS * entry]! >>> DIGIT_BITS;
  }

  offsetOf(entry: number): number {
    return (this.#words[WORDS * entry]! & DIGIT_MASK) * WORD + this.#words[WORDS * entry + 1]!;
  }

  firstWordOf(entry: number): number {
    return this.#words[WORDS * entry + 2]!;
  }

  /** By digits of 16 bits, the lowest first; digits that all entries share are passed over. */
  sort(): void {
    const { count } = this;
    const words = this.#words;
    for (let entry = 0; entry < count; entry++) this.order[entry] = entry;
    let next = new Uint32Array(count);
    const starts = new Uint32Array(DIGIT_MASK + 1);
    for (const [word, shift] of DIGITS) {
      starts.fill(0);
      for (let entry = 0; entry < count; entry++) starts[(words[WORDS * entry + word]! >>> shift) & DIGIT_MASK]!++;
      if (count === 0 || starts[(words[word]! >>> shift) & DIGIT_MASK] === count) continue;
      for (let digit = 0, sum = 0; digit <= DIGIT_MASK; digit++) {
        const size = starts[digit]!;
        starts[digit] = sum;
        sum += size;
      }
      for (let place = 0; place < count; place++) {
        const entry = this.order[place]!;
        next[starts[(words[WORDS * entry + word]! >>> shift) & DIGIT_MASK]!++] = entry;
      }
      [this.order, next] = [next, this.order];
    }
  }
}
