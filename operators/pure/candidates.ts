import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { Operator, OperatorState, Out } from "./operator.js";
import { EMPTY_PLACE, type RankedBatch } from "./ranking.js";
import { MAX_OFFSET, MAX_PARTITION } from "./topk-entry.js";

export interface CandidateParameters {
  /** P: classes that an image stands for, at least 1 */
  readonly p: number;
  /** L: classes are numbered [0, L) */
  readonly classes: number;
  /** Least rank key of a candidate; by default none */
  readonly floorKey?: number | undefined;
  /** Read anew for every batch: candidates strictly below their class's are not made, [L] */
  readonly thresholds?: Float64Array | undefined;
}

export type CandidatesState = OperatorState<RankedBatch, CandidateBatch>;

/**
 * Makes a candidate of each of an image's P best classes. Keeps nothing between batches.
 * Rows with a key that is not finite among them are rejected with E_IMAGE_SCORES. Throws E_SELECTION if P is no positive
 * integer, or greater than the M classes archived an image while there are more classes than M.
 */
export function candidates(parameters: CandidateParameters): Operator<CandidatesState> {
  const { p, classes, floorKey = -Infinity, thresholds } = parameters;
  if (!Number.isSafeInteger(p) || p < 1) {
    throw new SluiceError("E_SELECTION", `Expected P to be a positive integer, found ${p}. Set \`select.p\`.`);
  }
  if (thresholds !== undefined && thresholds.length !== classes) {
    throw new SluiceError("E_INTERNAL", `Expected ${classes} thresholds, found ${thresholds.length}.`);
  }
  const least = new Float64Array(classes).fill(floorKey);
  let places = new Uint32Array(0);
  const state: CandidatesState = {
    onBatch: (batch, out) => {
      const best = bestOfRow(p, batch.topM, classes);
      if (thresholds !== undefined) {
        for (let i = 0; i < classes; i++) least[i] = Math.max(floorKey, thresholds[i]!);
      }
      if (places.length < batch.count * best) places = new Uint32Array(batch.count * best);
      const count = choose(batch, best, least, places, out);
      if (count > 0) out.emit(materialise(batch, places.subarray(0, count)));
    },
    onWatermark: () => undefined,
    snapshot: () => new Uint8Array(0),
  };
  return {
    name: "candidates",
    version: 1,
    restore(snapshot) {
      if (snapshot !== undefined && snapshot.length > 0) {
        throw new SluiceError("E_CHECKPOINT_CORRUPT", `Expected an empty snapshot, found ${snapshot.length} bytes.`);
      }
      return state;
    },
  };
}

function bestOfRow(p: number, topM: number, classes: number): number {
  if (p <= topM) return p;
  if (topM === classes) return topM;
  throw new SluiceError(
    "E_SELECTION",
    `Expected P of at most ${topM}, the classes archived an image, found ${p}. Lower \`select.p\`; ` +
      "a greater `archive.topM` holds for images archived from then on.",
    { p, topM, classes },
  );
}

/**
 * Writes the places in [n x M] of the candidates, ascending, and returns how many there are. What is no number is below
 * no threshold, so that only minus infinity needs a look where most places end.
 */
function choose(
  batch: RankedBatch,
  best: number,
  least: Float64Array,
  places: Uint32Array,
  out: Out<CandidateBatch>,
): number {
  const { count, topM, keys, classes } = batch;
  const refused: number[] = [];
  let passed = 0;
  for (let row = 0, start = 0; row < count; row++, start += topM) {
    const before = passed;
    let finite = true;
    for (let place = start; place < start + best; place++) {
      const key = keys[place]!;
      const classIndex = classes[place]!;
      if (classIndex === EMPTY_PLACE) continue;
      if (key < least[classIndex]!) {
        if (key === -Infinity) finite = false;
        continue;
      }
      if (classIndex >>> 0 >= least.length) throw unknownClass(batch, row, classIndex, least.length);
      if (key - key !== 0) finite = false;
      places[passed++] = place;
    }
    if (finite) continue;
    refused.push(row);
    passed = before;
  }
  if (refused.length > 0) out.reject(refused, "E_IMAGE_SCORES", "expected finite rank keys for the best classes");
  return passed;
}

/** Columns in one allocation: the widest first, so that each is aligned. */
function materialise(batch: RankedBatch, places: Uint32Array): CandidateBatch {
  const count = places.length;
  const memory = new ArrayBuffer(38 * count);
  const keys = new Float64Array(memory, 0, count);
  const offset = new Float64Array(memory, 8 * count, count);
  const identity = new Uint32Array(memory, 16 * count, 4 * count);
  const classes = new Int32Array(memory, 32 * count, count);
  const partition = new Uint16Array(memory, 36 * count, count);
  const { topM, digest } = batch;
  const offsetWords = new Uint32Array(batch.offset.buffer, batch.offset.byteOffset, 2 * batch.count);
  let row = 0;
  for (let i = 0; i < count; i++) {
    const place = places[i]!;
    while (place >= (row + 1) * topM) row++;
    keys[i] = batch.keys[place]!;
    classes[i] = batch.classes[place]!;
    for (let word = 0; word < 4; word++) {
      const at = row * DIGEST_BYTES + 4 * word;
      identity[4 * i + word] = (digest[at]! << 24) | (digest[at + 1]! << 16) | (digest[at + 2]! << 8) | digest[at + 3]!;
    }
    const at = batch.partition[row]!;
    const where = offsetWords[2 * row + 1]! * 2 ** 32 + offsetWords[2 * row]!;
    if (at < 0 || at > MAX_PARTITION || where > MAX_OFFSET) throw outOfRange(at, where);
    partition[i] = at;
    offset[i] = where;
  }
  return { count, classes, keys, identity, partition, offset };
}

function unknownClass(batch: RankedBatch, row: number, found: number, classes: number): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected classes in [0, ${classes}), found ${found} in row ${row} (partition ${batch.partition[row]!}, offset ${batch.offset[row]!}). ` +
      "The archive was made with another teacher's labels, or its bytes are damaged.",
  );
}

function outOfRange(partition: number, offset: number): SluiceError {
  return new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected a partition in [0, 2^16) and an offset in [0, 2^48), found partition ${partition}, offset ${offset}.`,
  );
}
