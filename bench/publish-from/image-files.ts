import { createHash, randomFillSync } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { cached } from "../cache.js";

export interface ImageFiles {
  readonly classes: number;
  /** A class */
  readonly rows: number;
  readonly imageBytes: number;
}

const DIGESTS = "digests.bin";

/** Files of random bytes, a folder a class, and their digests: made once, in the cache. */
export function imageFiles({ classes, rows, imageBytes }: ImageFiles): Promise<string> {
  return cached(`image-files-${classes}-${rows}-${imageBytes}`, async (folder) => {
    const digests: Uint8Array[] = [];
    const bytes = new Uint8Array(imageBytes);
    for (let index = 0; index < classes; index++) {
      await mkdir(join(folder, "images", String(index)), { recursive: true });
      for (let row = 0; row < rows; row++) {
        randomFillSync(bytes);
        // What tells a PNG from other bytes.
        bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
        digests.push(createHash("sha256").update(bytes).digest());
        await writeFile(imageFile(folder, rows, digests.length - 1), bytes);
      }
    }
    await writeFile(join(folder, DIGESTS), Buffer.concat(digests));
  });
}

export function imageFile(folder: string, rows: number, number: number): string {
  return join(folder, "images", String(Math.floor(number / rows)), `${number}.png`);
}

/** Images by number with their digests. */
export async function filesWanted(folder: string): Promise<{ readonly number: number; readonly digest: Uint8Array }[]> {
  const all = await readFile(join(folder, DIGESTS));
  return Array.from({ length: all.length / DIGEST_BYTES }, (_, number) => ({
    number,
    digest: all.subarray(number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES),
  }));
}
