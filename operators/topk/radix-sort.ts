import { comesBefore, copyEntry, ORDER_WORDS, WORDS } from "./topk-entry.js";
import { DIGIT_BITS, type TopkScratch } from "./topk-scratch.js";

/** Up to this many entries are sorted by insertion: fewer than it takes to clear the bins of one digit. */
const INSERTION_MOST = 24;
/** Least bits of a digit: with fewer, too many entries would be left equal after two. */
const LEAST_BITS = 6;

/** Sorts the first `count` entries, which are of different images, in place. */
export function sortEntries(words: Uint32Array, count: number, scratch: TopkScratch): void {
  scratch.reserveOrder(count);
  const { order } = scratch;
  for (let i = 0; i < count; i++) order[i] = i;
  sortRange(words, 0, count, 0, scratch);
  const sorted = scratch.reserveEntries(count);
  for (let i = 0; i < count; i++) copyEntry(words, order[i]! * WORDS, sorted, i * WORDS);
  words.set(sorted.subarray(0, count * WORDS));
}

/**
 * Sorts order[start, end), all equal in the words before `word`. Two digits, of about as many bits together as tell
 * `end - start` values apart twice over, are taken from the top of the range that the word has; what is equal in them
 * is sorted again, by what is left of the word, then by the next one. So most of a word's bits are never looked at.
 */
function sortRange(words: Uint32Array, start: number, end: number, word: number, scratch: TopkScratch): void {
  const { order, values } = scratch;
  const count = end - start;
  if (count <= INSERTION_MOST || word === ORDER_WORDS) {
    insertionSort(words, order, start, end, word);
    return;
  }
  let least = 0xffffffff;
  let greatest = 0;
  for (let i = start; i < end; i++) {
    const value = words[order[i]! * WORDS + word]!;
    values[i] = value;
    least = value < least ? value : least;
    greatest = value > greatest ? value : greatest;
  }
  if (least === greatest) {
    sortRange(words, start, end, word + 1, scratch);
    return;
  }
  const digitBits = Math.min(DIGIT_BITS, Math.max(LEAST_BITS, 30 - Math.clz32(count)));
  const shift = Math.max(0, 32 - Math.clz32(greatest - least) - 2 * digitBits);
  for (let i = start; i < end; i++) values[i] = (values[i]! - least) >>> shift;
  sortByDigit(scratch.order, values, scratch.orderNext, scratch.valuesNext, start, end, 0, digitBits, scratch.bins);
  sortByDigit(scratch.orderNext, scratch.valuesNext, order, values, start, end, digitBits, digitBits, scratch.bins);
  for (let i = start + 1, run = start; i <= end; i++) {
    if (i < end && values[i] === values[run]) continue;
    // `values` of the run may be written over from here on: only those from i on are still looked at.
    if (i - run > 1) sortRange(words, run, i, shift === 0 ? word + 1 : word, scratch);
    run = i;
  }
}

/** One stable pass over bits [shift, shift + bits) of the values, from one pair of arrays into another. */
function sortByDigit(
  from: Uint32Array,
  fromValues: Uint32Array,
  to: Uint32Array,
  toValues: Uint32Array,
  start: number,
  end: number,
  shift: number,
  bits: number,
  bins: Uint32Array,
): void {
  const mask = (1 << bits) - 1;
  bins.fill(0, 0, mask + 1);
  for (let i = start; i < end; i++) bins[(fromValues[i]! >>> shift) & mask]!++;
  let next = start;
  for (let bin = 0; bin <= mask; bin++) {
    const size = bins[bin]!;
    bins[bin] = next;
    next += size;
  }
  for (let i = start; i < end; i++) {
    const value = fromValues[i]!;
    const place = bins[(value >>> shift) & mask]!++;
    to[place] = from[i]!;
    toValues[place] = value;
  }
}

function insertionSort(words: Uint32Array, order: Uint32Array, start: number, end: number, word: number): void {
  for (let i = start + 1; i < end; i++) {
    const entry = order[i]!;
    let place = i;
    while (place > start && comesBefore(words, entry * WORDS, words, order[place - 1]! * WORDS, word)) {
      order[place] = order[place - 1]!;
      place--;
    }
    order[place] = entry;
  }
}
