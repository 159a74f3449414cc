import { WORDS } from "./topk-entry.js";

/** Histogram bins of one radix digit: 11 bits, so that the counts (8 KiB) stay in the first-level cache. */
export const DIGIT_BITS = 11;
export const DIGIT_BINS = 1 << DIGIT_BITS;

/** Working memory of one state, shared by its classes: grows to the largest class, holds nothing between calls. */
export class TopkScratch {
  readonly bins = new Uint32Array(DIGIT_BINS);
  /** [n] each: entry numbers and the values that they are sorted or selected by */
  order = new Uint32Array(0);
  orderNext = new Uint32Array(0);
  values = new Uint32Array(0);
  valuesNext = new Uint32Array(0);
  /** open addressing, a power of two of at least 2 n slots, 0 for an empty one */
  slots = new Uint32Array(0);
  /** n entries */
  entries = new Uint32Array(0);

  reserveOrder(count: number): void {
    if (this.order.length >= count) return;
    this.order = new Uint32Array(count);
    this.orderNext = new Uint32Array(count);
    this.values = new Uint32Array(count);
    this.valuesNext = new Uint32Array(count);
  }

  /** Clears and returns the number of slots for `count` entries. */
  clearSlots(count: number): number {
    const needed = slotsFor(count);
    if (this.slots.length < needed) this.slots = new Uint32Array(needed);
    else this.slots.fill(0, 0, needed);
    return needed;
  }

  reserveEntries(count: number): Uint32Array {
    if (this.entries.length < count * WORDS) this.entries = new Uint32Array(count * WORDS);
    return this.entries;
  }
}

export function slotsFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count) * 2));
}

/** Bytes that the scratch of a state takes at most, whose largest class holds `count` entries. */
export function scratchBytes(count: number): number {
  return 4 * (DIGIT_BINS + 4 * count + slotsFor(count) + WORDS * count);
}
