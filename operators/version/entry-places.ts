import type { TopkRows } from "../topk/topk.js";

/** Of an entry: partition (16 bits) and offset (48), the first word of its image's digest, and its number */
const WORDS = 4;
const WORD = 2 ** 32;
const HIGH_BITS = 16;
const HIGH_MASK = 2 ** HIGH_BITS - 1;
const DIGIT_BITS = 8;
const DIGITS = 2 ** DIGIT_BITS;
/** So few are sorted by insertion. */
const FEW = 24;

/**
 * Where ranked entries are archived: 16 bytes an entry, since a version may have millions of rows. Entries are numbered as they are added; after `sort` they
 * lie in the order of (partition, offset), and are read one after the other.
 */
export class EntryPlaces {
  readonly count: number;
  readonly #words: Uint32Array;
  #added = 0;

  constructor(count: number) {
    this.count = count;
    this.#words = new Uint32Array(WORDS * count);
  }

  static of(lists: readonly TopkRows[]): EntryPlaces {
    const places = new EntryPlaces(lists.reduce((sum, { count }) => sum + count, 0));
    for (const rows of lists) places.add(rows);
    places.sort();
    return places;
  }

  add({ count, partition, offset, identity }: TopkRows): void {
    const words = this.#words;
    for (let row = 0, entry = this.#added, to = WORDS * entry; row < count; row++, entry++, to += WORDS) {
      const at = offset[row]!;
      words[to] = partition[row]! * 2 ** HIGH_BITS + Math.floor(at / WORD);
      words[to + 1] = at % WORD;
      words[to + 2] = identity[4 * row]!;
      words[to + 3] = entry;
    }
    this.#added += count;
  }

  /** Of the entry that lies at a place, [0, count) */
  entryAt(place: number): number {
    return this.#words[WORDS * place + 3]!;
  }

  partitionAt(place: number): number {
    return this.#words[WORDS * place]! >>> HIGH_BITS;
  }

  offsetAt(place: number): number {
    return (this.#words[WORDS * place]! & HIGH_MASK) * WORD + this.#words[WORDS * place + 1]!;
  }

  firstWordAt(place: number): number {
    return this.#words[WORDS * place + 2]!;
  }

  /** In place; entries of one place come in any order. */
  sort(): void {
    this.#sort(0, this.count);
  }

  /**
   * Entries [from, to): by the eight highest bits in which they differ, then each part for itself. Entries move between parts whose ends stay in the
   * processor's cache, and soon a part does as a whole.
   */
  #sort(from: number, to: number): void {
    if (to - from <= FEW) {
      this.#insert(from, to);
      return;
    }
    const words = this.#words;
    const [high, low] = [words[WORDS * from]!, words[WORDS * from + 1]!];
    let [inHigh, inLow] = [0, 0];
    for (let at = WORDS * from; at < WORDS * to; at += WORDS) {
      inHigh |= words[at]! ^ high;
      inLow |= words[at + 1]! ^ low;
    }
    if (inHigh === 0 && inLow === 0) return;
    const bits = inHigh === 0 ? 32 - Math.clz32(inLow) : 64 - Math.clz32(inHigh);
    const shift = Math.max(0, bits - DIGIT_BITS);
    const next = new Uint32Array(DIGITS);
    for (let at = WORDS * from; at < WORDS * to; at += WORDS) next[digitOf(words[at]!, words[at + 1]!, shift)]!++;
    const ends = new Uint32Array(DIGITS);
    for (let digit = 0, sum = from; digit < DIGITS; digit++) {
      const size = next[digit]!;
      next[digit] = sum;
      ends[digit] = sum += size;
    }
    for (let digit = 0; digit < DIGITS; digit++) {
      while (next[digit]! < ends[digit]!) {
        const at = WORDS * next[digit]!;
        const own = digitOf(words[at]!, words[at + 1]!, shift);
        if (own !== digit) this.#swap(at, WORDS * next[own]!);
        next[own]!++;
      }
    }
    if (shift === 0) return;
    for (let digit = 0, start = from; digit < DIGITS; digit++) {
      this.#sort(start, ends[digit]!);
      start = ends[digit]!;
    }
  }

  #insert(from: number, to: number): void {
    const words = this.#words;
    for (let place = from + 1; place < to; place++) {
      for (let at = WORDS * place; at > WORDS * from; at -= WORDS) {
        const before = at - WORDS;
        const isBehind =
          words[before]! === words[at]! ? words[before + 1]! <= words[at + 1]! : words[before]! < words[at]!;
        if (isBehind) break;
        this.#swap(before, at);
      }
    }
  }

  #swap(a: number, b: number): void {
    const words = this.#words;
    for (let word = 0; word < WORDS; word++) {
      const held = words[a + word]!;
      words[a + word] = words[b + word]!;
      words[b + word] = held;
    }
  }
}

/** Eight bits of a number of 64, from `shift` on. */
function digitOf(high: number, low: number, shift: number): number {
  if (shift >= 32) return (high >>> (shift - 32)) & (DIGITS - 1);
  if (shift <= 32 - DIGIT_BITS) return (low >>> shift) & (DIGITS - 1);
  return ((high << (32 - shift)) | (low >>> shift)) & (DIGITS - 1);
}
