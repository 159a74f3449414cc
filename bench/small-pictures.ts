import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { uniform } from "../test/fixtures/seeded-weights.js";

/** Seeded noise as JPEGs of 48 x 36: images that cost next to nothing. */
export async function makeSmallPictures(folder: string, count: number): Promise<void> {
  const next = uniform(2);
  for (let index = 0; index < count; index++) {
    const path = join(folder, String(Math.floor(index / 1000)));
    if (index % 1000 === 0) await mkdir(path, { recursive: true });
    const raw = Uint8Array.from({ length: 48 * 36 * 3 }, () => Math.floor(next() * 256));
    const bytes = await sharp(raw, { raw: { width: 48, height: 36, channels: 3 } })
      .jpeg()
      .toBuffer();
    await writeFile(join(path, `${index}.jpg`), bytes);
  }
}
