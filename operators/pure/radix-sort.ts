import { comesBefore, ORDER_WORDS, WORDS } from "./topk-entry.js";
import { DIGIT_BINS, DIGIT_BITS, type TopkScratch } from "./topk-scratch.js";

/** Up to this many entries are sorted by insertion: fewer than it takes to clear the bins of one digit. */
const INSERTION_MOST = 24;

/** Sorts the first `count` entries, which are of different images, in place. */
export function sortEntries(words: Uint32Array, count: number, scratch: TopkScratch): void {
  scratch.reserveOrder(count);
  const { order } = scratch;
  for (let i = 0; i < count; i++) order[i] = i;
  sortRange(words, 0, count, 0, scratch);
  const sorted = scratch.reserveEntries(count);
  for (let i = 0, to = 0; i < count; i++, to += WORDS) {
    const from = order[i]! * WORDS;
    for (let word = 0; word < WORDS; word++) sorted[to + word] = words[from + word]!;
  }
  words.set(sorted.subarray(0, count * WORDS));
}

/** Sorts order[start, end) by `word`, then each run that is equal in it by the next one. */
function sortRange(words: Uint32Array, start: number, end: number, word: number, scratch: TopkScratch): void {
  const { order } = scratch;
  if (end - start <= INSERTION_MOST || word === ORDER_WORDS) {
    insertionSort(words, order, start, end, word);
    return;
  }
  sortByWord(words, start, end, word, scratch);
  let run = start;
  for (let i = start + 1; i <= end; i++) {
    if (i < end && words[order[i]! * WORDS + word] === words[order[run]! * WORDS + word]) continue;
    if (i - run > 1) sortRange(words, run, i, word + 1, scratch);
    run = i;
  }
}

/** Least significant digit first over as many bits as the word's range has. */
function sortByWord(words: Uint32Array, start: number, end: number, word: number, scratch: TopkScratch): void {
  const { order, orderNext, values, valuesNext, bins } = scratch;
  let least = 0xffffffff;
  let greatest = 0;
  for (let i = start; i < end; i++) {
    const value = words[order[i]! * WORDS + word]!;
    values[i] = value;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const bits = greatest === least ? 0 : 32 - Math.clz32(greatest - least);
  let [from, to, fromValues, toValues] = [order, orderNext, values, valuesNext];
  for (let shift = 0; shift < bits; shift += DIGIT_BITS) {
    bins.fill(0);
    for (let i = start; i < end; i++) bins[((fromValues[i]! - least) >>> shift) & (DIGIT_BINS - 1)]!++;
    let next = start;
    for (let bin = 0; bin < DIGIT_BINS; bin++) {
      const size = bins[bin]!;
      bins[bin] = next;
      next += size;
    }
    for (let i = start; i < end; i++) {
      const value = fromValues[i]!;
      const place = bins[((value - least) >>> shift) & (DIGIT_BINS - 1)]!++;
      to[place] = from[i]!;
      toValues[place] = value;
    }
    [from, to, fromValues, toValues] = [to, from, toValues, fromValues];
  }
  if (from !== order) order.set(from.subarray(start, end), start);
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
