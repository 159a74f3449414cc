/**
 * A number in [0, 1) for an image under a seed: 53 bits of a hash of the seed and the first 128 bits of the digest at
 * `at`. Digests are random already; mixing them with the seed (murmur3's finaliser over the six words, twice) gives each seed
 * an order of its own.
 */
export function randomRank(seed: number, digests: Uint8Array, at: number): number {
  const low = seed >>> 0;
  const high = Math.floor(seed / 2 ** 32) >>> 0;
  let a = mix(low ^ 0x9e3779b9);
  let b = mix(high ^ 0x85ebca6b);
  for (let word = 0; word < 16; word += 4) {
    const value =
      (digests[at + word]! << 24) |
      (digests[at + word + 1]! << 16) |
      (digests[at + word + 2]! << 8) |
      digests[at + word + 3]!;
    a = mix(a ^ value);
    b = mix((b + a) ^ value);
  }
  return ((a >>> 0) * 2 ** 21 + (b >>> 11)) / 2 ** 53;
}

function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
