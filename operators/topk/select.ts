import { comesBefore, copyEntry, ORDER_WORDS, WORDS } from "./topk-entry.js";
import { DIGIT_BITS, type TopkScratch } from "./topk-scratch.js";

/**
 * Number of the entry that has `rank` (from 0) among the first `count` entries, which are of different images.
 * Radix selection: histograms of the leading word narrow the candidates down, then of the next word. A word needs three
 * rounds at most, so the time is linear in `count` whatever the values are.
 */
export function selectRank(words: Uint32Array, count: number, rank: number, scratch: TopkScratch): number {
  scratch.reserveOrder(count);
  const { order, values, bins } = scratch;
  let least = 0xffffffff;
  let greatest = 0;
  for (let i = 0, at = 0; i < count; i++, at += WORDS) {
    const value = words[at]!;
    order[i] = i;
    values[i] = value;
    least = value < least ? value : least;
    greatest = value > greatest ? value : greatest;
  }
  let left = count;
  let wanted = rank;
  for (let word = 0; left > 1;) {
    if (least === greatest) {
      if (++word === ORDER_WORDS) break;
      for (let i = 0; i < left; i++) values[i] = words[order[i]! * WORDS + word]!;
    } else {
      const shift = Math.max(0, 32 - Math.clz32(greatest - least) - DIGIT_BITS);
      bins.fill(0);
      for (let i = 0; i < left; i++) bins[(values[i]! - least) >>> shift]!++;
      let bin = 0;
      while (wanted >= bins[bin]!) wanted -= bins[bin++]!;
      let kept = 0;
      for (let i = 0; i < left; i++) {
        const value = values[i]!;
        if ((value - least) >>> shift !== bin) continue;
        values[kept] = value;
        order[kept++] = order[i]!;
      }
      left = kept;
    }
    least = 0xffffffff;
    greatest = 0;
    for (let i = 0; i < left; i++) {
      const value = values[i]!;
      least = value < least ? value : least;
      greatest = value > greatest ? value : greatest;
    }
  }
  return order[0]!;
}

/** Moves the `keep` entries that do not come after the entry numbered `pivot` to the front, in no particular order. */
export function cutAfter(words: Uint32Array, count: number, keep: number, pivot: number, scratch: TopkScratch): void {
  const last = scratch.reserveEntries(1);
  for (let word = 0; word < WORDS; word++) last[word] = words[pivot * WORDS + word]!;
  const lead = last[0]!;
  let back = count * WORDS;
  const end = keep * WORDS;
  for (let front = 0; front < end; front += WORDS) {
    const value = words[front]!;
    if (value < lead || (value === lead && !comesBefore(last, 0, words, front, 1))) continue;
    do back -= WORDS;
    while (words[back]! > lead || (words[back] === lead && comesBefore(last, 0, words, back, 1)));
    copyEntry(words, back, words, front);
  }
}
