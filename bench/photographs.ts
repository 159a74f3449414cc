import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { uniform } from "../test/fixtures/seeded-weights.js";

export interface Photographs {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
}

/**
 * Writes seeded JPEGs that cost what photographs cost: noise in several octaves over colour gradients and soft shapes,
 * quality 85. At 500 x 375 a file has some 45 KiB.
 */
export async function makePhotographs(folder: string, options: Photographs): Promise<void> {
  const { count, width, height, seed } = options;
  for (let index = 0; index < count; index++) {
    const path = join(folder, String(Math.floor(index / 100)).padStart(3, "0"));
    if (index % 100 === 0) await mkdir(path, { recursive: true });
    const name = join(path, `photograph-${String(index).padStart(6, "0")}.jpg`);
    await writeFile(name, await photograph(width, height, seed * 1_000_003 + index));
  }
}

/** Cells across the picture, and how far the octave moves a channel */
const OCTAVES = [
  { cells: 3, amplitude: 90 },
  { cells: 11, amplitude: 50 },
  { cells: 45, amplitude: 28 },
  { cells: 180, amplitude: 24 },
] as const;

async function photograph(width: number, height: number, seed: number): Promise<Uint8Array> {
  const next = uniform(seed);
  const sum = new Float32Array(width * height * 3).fill(128);
  for (const { cells, amplitude } of OCTAVES) {
    const rows = Math.max(2, Math.round((cells * height) / width));
    const raw = Uint8Array.from({ length: cells * rows * 3 }, () => Math.floor(next() * 256));
    const octave = await sharp(raw, { raw: { width: cells, height: rows, channels: 3 } })
      .resize(width, height, { kernel: "cubic", fit: "fill" })
      .raw()
      .toBuffer();
    for (let at = 0; at < sum.length; at++) sum[at]! += ((octave[at]! - 128) * amplitude) / 128;
  }
  return sharp(Uint8ClampedArray.from(sum), { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
