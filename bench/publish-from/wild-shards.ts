import { createHash } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createGzip } from "node:zlib";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TAR_END, tarEntry, tarEntryBytes } from "../../operators/version/tar-entry.js";
import { randomWords } from "../../test/fixtures/random.js";

export interface Shape {
  readonly shards: number;
  /** of each shard */
  readonly members: number;
  readonly classes: number;
  /** of each class */
  readonly rows: number;
  readonly imageBytes: number;
}

/** An image of the version, and where it lies. */
export interface Wanted {
  readonly number: number;
  readonly shard: number;
  /** Where its bytes begin in the unpacked shard */
  readonly offset: number;
  readonly digest: Uint8Array;
}

/** Does not compress, as photographs do not. */
export function imageOf(number: number, sizeBytes: number): Uint8Array {
  const next = randomWords(number * 2 + 1);
  return new Uint8Array(Uint32Array.from({ length: sizeBytes / 4 }, next).buffer);
}

export const memberName = (number: number): string => `${String(number).padStart(8, "0")}.jpg`;
export const shardPath = (folder: string, kind: "tar" | "tar.gz", shard: number): string =>
  join(folder, kind, `${String(shard).padStart(5, "0")}.${kind}`);
export const filePath = (folder: string, number: number): string =>
  join(folder, "files", String(number % 100), memberName(number));

/** Writes the shards, plain and gzipped, and the version's images as files too. */
export async function makeWild(folder: string, shape: Shape): Promise<void> {
  for (const kind of ["tar", "tar.gz"] as const) await mkdir(join(folder, kind), { recursive: true });
  const numbers = new Set(wantedOf(shape).map(({ number }) => number));
  for (let shard = 0; shard < shape.shards; shard++) {
    const plain = await open(shardPath(folder, "tar", shard), "w");
    const entries = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < shape.members; at++) {
        const number = shard * shape.members + at;
        const image = imageOf(number, shape.imageBytes);
        const entry = tarEntry(memberName(number), image);
        await plain.write(entry);
        if (numbers.has(number)) {
          const path = filePath(folder, number);
          await mkdir(join(path, ".."), { recursive: true });
          await writeFile(path, image);
        }
        yield entry;
      }
      await plain.write(TAR_END);
      yield TAR_END;
    };
    const packed = createWriteStream(shardPath(folder, "tar.gz", shard));
    await pipeline(Readable.from(entries()), createGzip({ level: 1 }), packed);
    await plain.close();
  }
}

/** The version's images in rank order: they lie anywhere. Without digests unless asked for. */
export function wantedOf({ shards, members, classes, rows, imageBytes }: Shape, digested = false): Wanted[] {
  const next = randomWords(99);
  const numbers = new Set<number>();
  while (numbers.size < classes * rows) numbers.add(next() % (shards * members));
  return [...numbers].map((number) => ({
    number,
    shard: Math.floor(number / members),
    offset: (number % members) * tarEntryBytes(imageBytes) + tarEntryBytes(0),
    digest: digested ? createHash("sha256").update(imageOf(number, imageBytes)).digest() : new Uint8Array(0),
  }));
}
