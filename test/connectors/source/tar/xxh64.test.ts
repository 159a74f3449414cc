import assert from "node:assert/strict";
import { test } from "node:test";
import { Xxh64 } from "../../../../connectors/source/tar/xxh64.js";

/** By PyPI `xxhash` 4.1.0: xxh64_intdigest of the first n bytes of (i * i + 7 * i) % 251 */
const EXPECTED: readonly (readonly [number, bigint])[] = [
  [0, 0xef46db3751d8e999n],
  [1, 0xe934a84adb052768n],
  [3, 0xbb3a592908a981a8n],
  [4, 0x798a8b758de10b9cn],
  [8, 0x628b254fd17d4862n],
  [12, 0x043665c447d22a2an],
  [31, 0x7d36fafd7e8f54d5n],
  [32, 0x8ca809248427ab85n],
  [33, 0x701316fef6f836d3n],
  [63, 0xabdc7bc152c8c7f4n],
  [64, 0x134758ba0f580486n],
  [1000, 0xe83f2963bc234754n],
  [100000, 0xa9e9c08b3c0b1afdn],
];

test("equals the reference, in whatever pieces the bytes come", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * at + 7 * at) % 251);
  for (const [length, expected] of EXPECTED) {
    for (const piece of [1, 5, 31, 32, 33, 4096]) {
      const hash = new Xxh64();
      for (let at = 0; at < length; at += piece) hash.add(bytes.subarray(at, Math.min(length, at + piece)));
      assert.equal(hash.digest(), expected, `${length} bytes in pieces of ${piece}`);
    }
  }
});
