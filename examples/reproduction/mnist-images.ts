import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { pack } from "tar-stream";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { AREA, indicesByDigit, readMnist, SIDE, type Digits } from "../quickstart/mnist.js";

export interface ReproductionFolders {
  /** A folder a class, for each seed another draw */
  readonly labelled: (seed: number, images: number) => Promise<string>;
  readonly test: string;
  /** All training images, in one shard: those of a labelled set are left out of versions by their digests */
  readonly unlabelled: string;
}

/** Test images: 400 of each digit, the first in MNIST's order */
const TESTED_A_DIGIT = 400;

/** MNIST as files: the training images as one shard, test images and draws of labelled ones as folders. What is there stays. */
export async function mnistImages(folder: string): Promise<ReproductionFolders> {
  const { train, test } = await readMnist();
  const unlabelled = join(folder, "train.tar");
  await madeOnce(unlabelled, (path) => writeShard(path, train));
  const tested = join(folder, "test");
  await madeOnce(tested, (path) =>
    writeFolder(
      path,
      test,
      indicesByDigit(test).map((indices) => indices.slice(0, TESTED_A_DIGIT)),
    ),
  );
  return {
    unlabelled,
    test: tested,
    labelled: async (seed, images) => {
      const path = join(folder, `labelled-${images}-${seed}`);
      await madeOnce(path, (partial) => {
        const random = new SeededRandom(seed, "labelled images");
        const drawn = indicesByDigit(train).map((indices) => random.shuffle(indices).slice(0, images / 10));
        return writeFolder(partial, train, drawn);
      });
      return path;
    },
  };
}

/** Made beside its place, and moved there whole. */
async function madeOnce(path: string, make: (partial: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  const partial = `${path}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await make(partial);
  await rename(partial, path).catch(async (error: unknown) => {
    // Another process was faster: both write the same.
    if (!existsSync(path)) throw error;
    await rm(partial, { recursive: true });
  });
}

async function writeFolder(folder: string, digits: Digits, chosen: readonly (readonly number[])[]): Promise<void> {
  for (const [digit, indices] of chosen.entries()) {
    await mkdir(join(folder, String(digit)), { recursive: true });
    for (const index of indices)
      await writeFile(join(folder, String(digit), `${String(index).padStart(5, "0")}.png`), await pngOf(digits, index));
  }
}

async function writeShard(path: string, digits: Digits): Promise<void> {
  const shard = pack();
  const out = createWriteStream(path);
  shard.pipe(out);
  for (let index = 0; index < digits.count; index++) {
    const bytes = await pngOf(digits, index);
    await new Promise<void>((resolve, reject) => {
      shard.entry(
        { name: `${String(index).padStart(5, "0")}.png`, mtime: new Date(0) },
        Buffer.from(bytes),
        (error) => {
          if (error) reject(error);
          else resolve();
        },
      );
    });
  }
  shard.finalize();
  await once(out, "close");
}

/** The same bytes wherever an image comes: a labelled image is known among the unlabelled ones by them. */
function pngOf(digits: Digits, index: number): Promise<Buffer> {
  const pixels = digits.pixels.subarray(index * AREA, (index + 1) * AREA);
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } })
    .toColourspace("b-w")
    .png({ compressionLevel: 1 })
    .toBuffer();
}
