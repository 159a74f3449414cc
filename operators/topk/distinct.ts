import { comesBefore, copyEntry, IDENTITY_WORD, WORDS } from "./topk-entry.js";
import type { TopkScratch } from "./topk-scratch.js";

/**
 * Leaves one entry an image among the first `count` entries: the one with the greatest key, then the lowest
 * (partition, offset). Returns how many images there are; they lie at the front, in no particular order.
 */
export function keepDistinct(words: Uint32Array, count: number, scratch: TopkScratch): number {
  return mayRepeat(words, count, scratch) ? removeRepeats(words, count, scratch) : count;
}

/**
 * Whether two identities have the same 32-bit hash: certain to be so for two entries of an image, and chance for others
 * (5 % of the time among 20,000). The table holds hashes only, so that no entry is looked at twice.
 */
function mayRepeat(words: Uint32Array, count: number, scratch: TopkScratch): boolean {
  const mask = scratch.clearSlots(count) - 1;
  const { slots } = scratch;
  for (let at = 0; at < count * WORDS; at += WORDS) {
    // 0 says that a slot is empty.
    const hash = identityHash(words, at) | 1;
    let slot = (hash >>> 1) & mask;
    for (;;) {
      const taken = slots[slot]!;
      if (taken === 0) break;
      if (taken === hash >>> 0) return true;
      slot = (slot + 1) & mask;
    }
    slots[slot] = hash;
  }
  return false;
}

function removeRepeats(words: Uint32Array, count: number, scratch: TopkScratch): number {
  const mask = scratch.clearSlots(count) - 1;
  // Here a slot holds an entry's number + 1.
  const { slots } = scratch;
  let kept = 0;
  for (let entry = 0; entry < count; entry++) {
    const at = entry * WORDS;
    let slot = (identityHash(words, at) >>> 1) & mask;
    for (;;) {
      const taken = slots[slot]!;
      if (taken === 0) {
        if (kept !== entry) copyEntry(words, at, words, kept * WORDS);
        slots[slot] = ++kept;
        break;
      }
      const seen = (taken - 1) * WORDS;
      if (sameImage(words, at, seen)) {
        if (comesBefore(words, at, words, seen)) copyEntry(words, at, words, seen);
        break;
      }
      slot = (slot + 1) & mask;
    }
  }
  return kept;
}

/** Digests are uniform already; the multiplications keep made-up identities from filling neighbouring slots. */
function identityHash(words: Uint32Array, at: number): number {
  const mixed =
    Math.imul(words[at + IDENTITY_WORD]!, 0x9e3779b1) ^
    Math.imul(words[at + IDENTITY_WORD + 1]!, 0x85ebca77) ^
    Math.imul(words[at + IDENTITY_WORD + 2]!, 0xc2b2ae3d) ^
    Math.imul(words[at + IDENTITY_WORD + 3]!, 0x27d4eb2f);
  return mixed ^ (mixed >>> 15);
}

function sameImage(words: Uint32Array, a: number, b: number): boolean {
  return (
    words[a + IDENTITY_WORD] === words[b + IDENTITY_WORD] &&
    words[a + IDENTITY_WORD + 1] === words[b + IDENTITY_WORD + 1] &&
    words[a + IDENTITY_WORD + 2] === words[b + IDENTITY_WORD + 2] &&
    words[a + IDENTITY_WORD + 3] === words[b + IDENTITY_WORD + 3]
  );
}
