import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached } from "../cache.js";
import { uniform } from "../../test/fixtures/seeded-weights.js";

/** u8, [images x 224 x 224 x 3]: seeded noise that every entrant scores. Returns the file's path. */
export async function pixelsFile(images: number): Promise<string> {
  const folder = await cached(`score-pixels-${images}`, async (made) => {
    const next = uniform(1);
    const pixels = Uint8Array.from({ length: images * 224 * 224 * 3 }, () => Math.floor(next() * 256));
    await writeFile(join(made, "pixels.raw"), pixels);
  });
  return join(folder, "pixels.raw");
}
