import { HASH_WORDS, nearDistance, NearIndex } from "../operators/select/near-index.js";
import { randomWords } from "../test/fixtures/random.js";
import type { Bench } from "./harness.js";

/** Of the hashes looked up, one in so many is some bits away from one that is there. */
const NEAR_ONE_IN = 4;

/** Random hashes, `count` of 8 words: unrelated pictures' hashes are as good as that. */
function madeHashes(count: number, seed: number): Uint32Array {
  const words = randomWords(seed);
  return Uint32Array.from({ length: HASH_WORDS * count }, words);
}

/** Hashes to look up: some that are near to one that is there, or to its mirror image, and some that are near to none. */
function asked(hashes: Uint32Array, count: number, distance: number, seed: number): Uint32Array {
  const words = randomWords(seed);
  const all = hashes.length / HASH_WORDS;
  const made = Uint32Array.from({ length: HASH_WORDS * count }, words);
  for (let at = 0; at < count; at += NEAR_ONE_IN) {
    const from = HASH_WORDS * (words() % all);
    const turned = at % (2 * NEAR_ONE_IN) === 0 ? 0 : 0x5555_5555;
    for (let word = 0; word < HASH_WORDS; word++) made[HASH_WORDS * at + word] = (hashes[from + word]! ^ turned) >>> 0;
    for (let bits = words() % (distance + 3); bits > 0; bits--) {
      const bit = words() % 256;
      made[HASH_WORDS * at + (bit >> 5)]! ^= 1 << (bit & 31);
    }
  }
  return made;
}

/** Looks hashes up among ten million at two distances, and compares with looking at each one among a million. */
export const bench: Bench = ({ tiny, print }) => {
  const [many, few] = tiny ? [20_000, 5_000] : [10_000_000, 1_000_000];
  const ours: Record<string, number> = {};
  for (const [distance, lookUps] of [
    [10, tiny ? 2_000 : 200_000],
    [31, tiny ? 200 : 4_000],
  ] as const) {
    const hashes = madeHashes(many, 17);
    const index = new NearIndex(distance, many);
    const addedMs = elapsed(() => {
      for (let at = 0; at < many; at++) index.add(hashes, HASH_WORDS * at);
    });
    const wanted = asked(hashes, lookUps, distance, 23);
    let found = 0;
    const ms = elapsed(() => {
      for (let at = 0; at < lookUps; at++) if (index.first(wanted, HASH_WORDS * at) !== null) found++;
    });
    const perS = Math.round((1000 * lookUps) / ms);
    ours[`look-ups a CPU second at distance ${distance}`] = perS;
    ours[`MB at distance ${distance}`] = Math.round(index.sizeBytes / 1e6);
    print(
      `distance ${distance}: ${perS} exact look-ups a CPU second among ${many} hashes (${found} of ${lookUps} found something), ` +
        `${Math.round((1000 * many) / addedMs)} added a CPU second, ${Math.round(index.sizeBytes / 1e6)} MB`,
    );
    assertExact(few, distance, tiny ? 40 : 25, print);
  }
  return Promise.resolve({
    name: "near",
    ours,
    peers: {},
    ratios: {
      "look-ups a CPU second at distance 10 / 20,000 (at least 1)":
        ours["look-ups a CPU second at distance 10"]! / 20_000,
    },
  });
};

/** Throws where the index finds other hashes than comparing with every one. */
function assertExact(count: number, distance: number, lookUps: number, print: (line: string) => void): void {
  const hashes = madeHashes(count, 29);
  const index = new NearIndex(distance, count);
  for (let at = 0; at < count; at++) index.add(hashes, HASH_WORDS * at);
  const wanted = asked(hashes, lookUps, distance, 31);
  let pairs = 0;
  for (let one = 0; one < lookUps; one++) {
    const near: { at: number; distance: number }[] = [];
    for (let at = 0; at < count; at++) {
      const away = nearDistance(hashes, HASH_WORDS * at, wanted, HASH_WORDS * one);
      if (away <= distance) near.push({ at, distance: away });
    }
    const found = index.all(wanted, HASH_WORDS * one);
    if (JSON.stringify(found) !== JSON.stringify(near))
      throw new Error(
        `distance ${distance}, look-up ${one}: found ${JSON.stringify(found)}, there are ${JSON.stringify(near)}`,
      );
    pairs += near.length;
  }
  print(`distance ${distance}: equal to brute force over ${count} hashes, ${lookUps} look-ups, ${pairs} found`);
}

/** CPU time, ms: other work on the machine does not count. */
function elapsed(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
