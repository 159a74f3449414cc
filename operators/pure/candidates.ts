import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { Operator, OperatorState, Out } from "./operator.js";
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

export type CandidatesState = OperatorState<ScoredBatch, CandidateBatch>;

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
  const least = thresholds ?? new Float64Array(classes).fill(floorKey);
  const state: CandidatesState = {
    onBatch: (batch, out) => {
      const best = bestOfRow(p, batch.topM, classes);
      const passed = choose(batch, best, classes, floorKey, least, out);
      if (passed.length > 0) out.emit(materialise(batch, best, passed));
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

/** Places in [n x M] of the candidates, ascending. */
function choose(
  batch: ScoredBatch,
  best: number,
  classes: number,
  floorKey: number,
  least: Float64Array,
  out: Out<CandidateBatch>,
): Uint32Array {
  const { count, topM } = batch;
  const places = new Uint32Array(count * best);
  const refused: number[] = [];
  let passed = 0;
  for (let row = 0; row < count; row++) {
    const before = passed;
    for (let place = row * topM; place < row * topM + best; place++) {
      const key = batch.keys[place]!;
      const classIndex = batch.classes[place]!;
      if (key - key !== 0) {
        refused.push(row);
        passed = before;
        break;
      }
      if (classIndex < 0 || classIndex >= classes) throw unknownClass(batch, row, classIndex, classes);
      if (key >= floorKey && key >= least[classIndex]!) places[passed++] = place;
    }
  }
  if (refused.length > 0) out.reject(refused, "E_IMAGE_SCORES", "expected finite rank keys for the best classes");
  return places.subarray(0, passed);
}

function materialise(batch: ScoredBatch, best: number, places: Uint32Array): CandidateBatch {
  const count = places.length;
  const { topM, digest } = batch;
  const classes = new Int32Array(count);
  const keys = new Float64Array(count);
  const identity = new Uint32Array(4 * count);
  const partition = new Uint16Array(count);
  const offset = new Float64Array(count);
  const offsetWords = new Uint32Array(batch.offset.buffer, batch.offset.byteOffset, 2 * batch.count);
  for (let i = 0; i < count; i++) {
    const place = places[i]!;
    const row = best === 1 && topM === 1 ? place : Math.floor(place / topM);
    classes[i] = batch.classes[place]!;
    keys[i] = batch.keys[place]!;
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

function unknownClass(batch: ScoredBatch, row: number, found: number, classes: number): SluiceError {
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
