import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { zipfTable } from "../../test/fixtures/random.js";

export const CLASSES = 1000;
/** P: candidates an image, of different classes */
export const PLACES = 10;
/** Images a batch: its candidates' columns stay in the second-level cache */
const IMAGES = 512;

/**
 * Candidates of images [from, until), made from the image's number alone, so that any split of the images gives the
 * same candidates. The batch is filled again for the next one.
 */
export function* makeCandidates(from: number, until: number): Generator<CandidateBatch> {
  const zipf = zipfTable(CLASSES);
  const rows = IMAGES * PLACES;
  const batch = {
    count: 0,
    classes: new Int32Array(rows),
    keys: new Float64Array(rows),
    identity: new Uint32Array(4 * rows),
    partition: new Uint16Array(rows),
    offset: new Float64Array(rows),
  };
  for (let start = from; start < until; start += IMAGES) {
    const images = Math.min(IMAGES, until - start);
    for (let image = 0; image < images; image++) fillImage(batch, image * PLACES, start + image, zipf);
    batch.count = images * PLACES;
    yield batch;
  }
}

function fillImage(batch: CandidateBatch, first: number, image: number, zipf: Uint16Array): void {
  const { classes, keys, identity, partition, offset } = batch;
  let word = mixed(image);
  for (let row = first; row < first + PLACES; row++) {
    let drawn: number;
    let repeated: boolean;
    do {
      word = mixed(word + 0x9e3779b9);
      drawn = zipf[word >>> 16]!;
      repeated = false;
      for (let before = first; before < row; before++) repeated ||= classes[before] === drawn;
    } while (repeated);
    classes[row] = drawn;
    word = mixed(word + 0x9e3779b9);
    keys[row] = Math.log((word + 1) / 2 ** 32);
    identity[4 * row] = mixed(image ^ 0x5bd1e995);
    identity[4 * row + 1] = mixed(image + 0x27d4eb2f);
    identity[4 * row + 2] = image;
    identity[4 * row + 3] = 0;
    partition[row] = image & 7;
    offset[row] = image;
  }
}

/** A bijection of 32 bits: the finaliser of MurmurHash3. */
function mixed(value: number): number {
  let word = value | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
