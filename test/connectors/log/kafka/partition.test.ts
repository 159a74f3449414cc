import assert from "node:assert/strict";
import { test } from "node:test";
import { partitionOfKey } from "../../../../connectors/log/kafka/partition.js";

// murmur2 of these keys, from the test of Kafka's own clients (UtilsTest.testMurmur2)
const MURMUR2: readonly [string, number][] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
];

for (const [key, hash] of MURMUR2) {
  test(`"${key}" goes where Java's partitioner puts it`, () => {
    for (const partitions of [1, 2, 3, 7, 16, 100]) {
      assert.equal(partitionOfKey(Buffer.from(key), partitions), (hash & 0x7fffffff) % partitions);
    }
  });
}
