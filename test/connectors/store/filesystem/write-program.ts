import { openFilesystemStore } from "../../../../connectors/store/filesystem/filesystem-store.js";

/**
 * `write-program FOLDER ROUND`: writes objects in all three ways, many at once, until it is killed. Each object's bytes
 * are one byte (the last digit of its key) over and over, of the length that its key names: see the crash test.
 */
const store = await openFilesystemStore(process.argv[2]!);
const round = process.argv[3]!;
let count = 0;
await Promise.all(
  Array.from({ length: 12 }, async (_, writer) => {
    for (;;) {
      const i = count++;
      const sizeBytes = [10, 3_000, 300_000][i % 3]!;
      const key = `crash/${round}/${i % 5}/${sizeBytes}-${i}`;
      const bytes = Buffer.alloc(sizeBytes, i % 10);
      if (writer % 3 === 0) await store.putIfAbsent(key, bytes);
      else if (writer % 3 === 1) await store.put(key, bytes);
      else await store.putStream(key, [bytes.subarray(0, sizeBytes / 2), bytes.subarray(sizeBytes / 2)]);
      process.stdout.write(`${key}\n`);
    }
  }),
);
