import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { hashWords, HASH_WORDS, nearDistance, NearIndex } from "../../../operators/select/near-index.js";
import { ROOT } from "../../architecture/repository.js";
import { randomWords } from "../../fixtures/random.js";

const BITS = 256;

/** Numbers in [0, 1) from a seed. */
function seeded(seed: number): () => number {
  const words = randomWords(seed * 7919);
  for (let passed = 0; passed < 16; passed++) words();
  return () => words() / 2 ** 32;
}

/** The obvious way: all bits, one by one. */
function slowDistance(a: Uint8Array, b: Uint8Array): number {
  let [plain, mirrored] = [0, 0];
  for (let bit = 0; bit < BITS; bit++) {
    const differs = ((a[bit >> 3]! ^ b[bit >> 3]!) >> (bit & 7)) & 1;
    plain += differs;
    // Bits of odd frequencies across, which every second one is from the first on, have the other value in a mirrored picture.
    mirrored += bit % 2 === 0 ? 1 - differs : differs;
  }
  return Math.min(plain, mirrored);
}

/** Random hashes, half of them some bits away from another one, or from its mirror image. */
function madeHashes(count: number, seed: number, mostTurned: number): Uint8Array[] {
  const random = seeded(seed);
  const hashes: Uint8Array[] = [];
  for (let made = 0; made < count; made++) {
    const from = hashes[Math.floor(random() * hashes.length)];
    if (from === undefined || random() < 0.5) {
      hashes.push(Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256)));
      continue;
    }
    const near = random() < 0.5 ? from.slice() : from.map((byte) => byte ^ 0x55);
    for (let turned = Math.floor(random() * (mostTurned + 1)); turned > 0; turned--) {
      const bit = Math.floor(random() * BITS);
      near[bit >> 3]! ^= 1 << (bit & 7);
    }
    hashes.push(near);
  }
  return hashes;
}

test("finds what comparing with every hash finds, at any distance and however many were expected", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 63 }),
      fc.integer({ min: 1, max: 120 }),
      fc.constantFrom(1, 40, 5000),
      fc.nat(1e6),
      (distance, count, expected, seed) => {
        const hashes = madeHashes(count, seed, distance + 6);
        const index = new NearIndex(distance, expected);
        hashes.forEach((hash, at) => {
          const words = hashWords(hash);
          const near = hashes
            .slice(0, at)
            .map((other, found) => ({ at: found, distance: slowDistance(hash, other) }))
            .filter((one) => one.distance <= distance);
          assert.deepEqual(index.all(words, 0), near);
          assert.deepEqual(index.first(words, 0), near[0] ?? null);
          assert.equal(index.add(words, 0), at);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test("among many the same as comparing with all, for distances of every number of tables", () => {
  const hashes = madeHashes(6000, 11, 34);
  const words = hashWords(Buffer.concat(hashes));
  for (const distance of [0, 3, 10, 16, 31, 40]) {
    const index = new NearIndex(distance, hashes.length);
    hashes.forEach((_, at) => index.add(words, HASH_WORDS * at));
    for (let at = 0; at < hashes.length; at += 400) {
      const near = hashes
        .map((_, found) => ({ at: found, distance: nearDistance(words, HASH_WORDS * found, words, HASH_WORDS * at) }))
        .filter((one) => one.distance <= distance);
      assert.deepEqual(index.all(words, HASH_WORDS * at), near);
    }
  }
});

test("a mirrored picture's hash, as the reference makes it, is near to the picture's own", () => {
  const { turned } = JSON.parse(readFileSync(join(ROOT, "test", "fixtures", "pdq", "goldens.json"), "utf8")) as {
    readonly turned: readonly { readonly upright: readonly { readonly hash: string }[] }[];
  };
  const away = turned.map(({ upright: [own, mirrored] }) => {
    const [a, b] = [own!, mirrored!].map(({ hash }) => hashWords(Buffer.from(hash, "hex")));
    return nearDistance(a!, 0, b!, 0);
  });
  assert.ok(Math.max(...away) <= 16, `${away.join(", ")} bits`);
});
