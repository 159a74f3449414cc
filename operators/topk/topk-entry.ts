/**
 * An entry of a top-K state: 32 bytes, eight unsigned 32-bit words, little-endian. Comparing two entries word by word,
 * ascending, is the order of a class: rank key descending, digest ascending, then (partition, offset) ascending.
 *
 *     word 0, 1   rank key: its IEEE 754 bits, mapped so that a greater key gives a smaller number
 *     word 2..5   first 128 bits of the image's digest, big-endian: the image's identity
 *     word 6      partition << 16 | offset >> 32
 *     word 7      offset, low 32 bits
 */
export const WORDS = 8;
export const ENTRY_BYTES = 4 * WORDS;

/** Words that tell images of one class apart: key and identity. The rest only says where an image was seen. */
export const ORDER_WORDS = 6;
export const IDENTITY_WORD = 2;
export const PLACE_WORD = 6;

export const MAX_PARTITION = 0xffff;
export const MAX_OFFSET = 2 ** 48 - 1;

const doubles = new Float64Array(1);
const bits = new Uint32Array(doubles.buffer);

/** Writes `key`, finite, as words 0 and 1 of the entry at `at` (in words). Minus zero becomes zero. */
export function writeKey(words: Uint32Array, at: number, key: number): void {
  doubles[0] = key + 0;
  const high = bits[1]!;
  // A negative number's bits already grow as it falls; those of the others are turned round and come before.
  const flip = high >> 31 === 0 ? -1 : 0;
  words[at] = high ^ (flip >>> 1);
  words[at + 1] = bits[0]! ^ flip;
}

/** The rank key of the entry at `at` (in words). */
export function readKey(words: Uint32Array, at: number): number {
  const high = words[at]!;
  const flip = high >> 31 === 0 ? -1 : 0;
  bits[1] = high ^ (flip >>> 1);
  bits[0] = words[at + 1]! ^ flip;
  return doubles[0]!;
}

export function readPartition(words: Uint32Array, at: number): number {
  return words[at + PLACE_WORD]! >>> 16;
}

export function readOffset(words: Uint32Array, at: number): number {
  return (words[at + PLACE_WORD]! & 0xffff) * 2 ** 32 + words[at + PLACE_WORD + 1]!;
}

/** Whether the entry at `a` comes strictly before the one at `b` (in words), from word `from` on. */
export function comesBefore(words: Uint32Array, a: number, other: Uint32Array, b: number, from = 0): boolean {
  for (let word = from; word < WORDS; word++) {
    const left = words[a + word]!;
    const right = other[b + word]!;
    if (left !== right) return left < right;
  }
  return false;
}

export function copyEntry(words: Uint32Array, from: number, to: Uint32Array, at: number): void {
  to[at] = words[from]!;
  to[at + 1] = words[from + 1]!;
  to[at + 2] = words[from + 2]!;
  to[at + 3] = words[from + 3]!;
  to[at + 4] = words[from + 4]!;
  to[at + 5] = words[from + 5]!;
  to[at + 6] = words[from + 6]!;
  to[at + 7] = words[from + 7]!;
}
