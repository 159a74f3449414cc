import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { SluiceError } from "../../schemas/errors.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { Out } from "./out.js";
import { EMPTY_PLACE, type RankedBatch } from "../select/ranking.js";
import { MAX_OFFSET, MAX_PARTITION } from "./topk-entry.js";

export interface CandidateParameters {
  /** P: classes that an image stands for, at least 1 */
  readonly p: number;
  /** L: classes are numbered [0, L) */
  readonly classes: number;
  /** Least rank key of a candidate; by default none */
  readonly floorKey?: number | undefined;
  /** Live, read anew for every batch emitted: candidates strictly below their class's are not made, [L] */
  readonly thresholds?: Float64Array | undefined;
  /** 1: candidates of that class are made; 0: another shard's, [L]. By default all are. */
  readonly own?: Uint8Array | undefined;
}

export interface Candidates {
  onBatch(batch: RankedBatch, out: Out<CandidateBatch>): void;
}

/** Rows of an emitted batch at most, unless P is greater: its columns (38 bytes a row) stay in the second-level cache. */
const CHUNK_ROWS = 8192;

/**
 * Makes a candidate of each of an image's P best classes. Keeps nothing between batches. An emitted batch's memory is
 * used again for the next: a caller that keeps it must copy it.
 * Rows with a key that is not finite among them are rejected with E_IMAGE_SCORES. Throws E_SELECTION if P is no positive
 * integer, or greater than the M classes archived an image while there are more classes than M.
 */
export function candidates(parameters: CandidateParameters): Candidates {
  const { p, classes, floorKey = -Infinity, thresholds, own } = parameters;
  if (!Number.isSafeInteger(p) || p < 1) {
    throw new SluiceError("E_SELECTION", `Expected P to be a positive integer, found ${p}. Set \`select.p\`.`);
  }
  if (thresholds !== undefined && thresholds.length !== classes) {
    throw new SluiceError("E_INTERNAL", `Expected ${classes} thresholds, found ${thresholds.length}.`);
  }
  const floors = new Float64Array(classes).fill(floorKey);
  // No finite key is greater.
  own?.forEach((mine, classIndex) => {
    if (mine === 0) floors[classIndex] = Infinity;
  });
  const writer = new CandidateWriter(floors, Math.max(p, CHUNK_ROWS));
  return {
    onBatch: (batch, out) => {
      const best = bestOfRow(p, batch.topM, classes);
      const refused: number[] = [];
      for (let row = 0; row < batch.count;) {
        if (thresholds !== undefined) writer.raise(floors, thresholds);
        row = writer.fill(batch, row, best, refused);
        if (writer.count > 0) out.emit(writer.batch());
      }
      if (refused.length > 0) out.reject(refused, "E_IMAGE_SCORES", "expected finite rank keys for the best classes");
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

/** Columns that are filled, emitted and filled again. */
class CandidateWriter {
  /** Least key of a candidate, [L] */
  readonly #least: Float64Array;
  readonly #rows: number;
  readonly #keys: Float64Array;
  readonly #offset: Float64Array;
  readonly #identity: Uint32Array;
  readonly #classes: Int32Array;
  readonly #partition: Uint16Array;
  count = 0;

  constructor(floors: Float64Array, rows: number) {
    this.#least = floors.slice();
    this.#rows = rows;
    this.#keys = new Float64Array(rows);
    this.#offset = new Float64Array(rows);
    this.#identity = new Uint32Array(4 * rows);
    this.#classes = new Int32Array(rows);
    this.#partition = new Uint16Array(rows);
  }

  raise(floors: Float64Array, thresholds: Float64Array): void {
    const least = this.#least;
    for (let i = 0; i < least.length; i++) least[i] = Math.max(floors[i]!, thresholds[i]!);
  }

  /**
   * Writes the candidates of the rows from `first` on, until there is no room for another row's, and returns the row to
   * go on from. What is no number is below no threshold, so that only minus infinity needs a look where most places end.
   */
  fill(batch: RankedBatch, first: number, best: number, refused: number[]): number {
    const least = this.#least;
    const madeKeys = this.#keys;
    const madeClasses = this.#classes;
    const { count, topM, keys, classes } = batch;
    const places = new PlaceReader(batch);
    const last = this.#rows - best;
    let made = 0;
    let row = first;
    for (; row < count && made <= last; row++) {
      const before = made;
      const end = row * topM + best;
      let finite = true;
      for (let place = row * topM; place < end; place++) {
        const key = keys[place]!;
        const classIndex = classes[place]!;
        if (classIndex === EMPTY_PLACE) continue;
        if (key < least[classIndex]!) {
          if (key === -Infinity) finite = false;
          continue;
        }
        if (classIndex >>> 0 >= least.length) throw unknownClass(batch, row, classIndex, least.length);
        if (key - key !== 0) finite = false;
        madeKeys[made] = key;
        madeClasses[made++] = classIndex;
      }
      if (!finite) {
        refused.push(row);
        made = before;
      } else if (made > before) this.#writePlace(places, row, before, made);
    }
    this.count = made;
    return row;
  }

  batch(): CandidateBatch {
    const { count } = this;
    return {
      count,
      classes: this.#classes.subarray(0, count),
      keys: this.#keys.subarray(0, count),
      identity: this.#identity.subarray(0, 4 * count),
      partition: this.#partition.subarray(0, count),
      offset: this.#offset.subarray(0, count),
    };
  }

  /** Writes who the image of `row` is, and where it was seen, for candidates [from, until). */
  #writePlace(places: PlaceReader, row: number, from: number, until: number): void {
    const identity = this.#identity;
    // Not as an array: words above 2^31 would be objects in it.
    const a = places.word(row, 0);
    const b = places.word(row, 1);
    const c = places.word(row, 2);
    const d = places.word(row, 3);
    const partition = places.partition(row);
    const offset = places.offset(row);
    for (let i = from; i < until; i++) {
      identity[4 * i] = a;
      identity[4 * i + 1] = b;
      identity[4 * i + 2] = c;
      identity[4 * i + 3] = d;
      this.#partition[i] = partition;
      this.#offset[i] = offset;
    }
  }
}

/** Reads a batch's digests and places without making an object or a big integer a row. */
class PlaceReader {
  readonly #digest: DataView;
  readonly #partition: Int32Array;
  readonly #offset: Uint32Array;

  constructor({ digest, partition, offset, count }: RankedBatch) {
    this.#digest = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
    this.#partition = partition;
    this.#offset = new Uint32Array(offset.buffer, offset.byteOffset, 2 * count);
  }

  /** Words 0 to 3 of the image's identity */
  word(row: number, word: number): number {
    return this.#digest.getUint32(row * DIGEST_BYTES + 4 * word);
  }

  partition(row: number): number {
    const partition = this.#partition[row]!;
    if (partition < 0 || partition > MAX_PARTITION) throw outOfRange(partition, this.offset(row));
    return partition;
  }

  offset(row: number): number {
    const offset = this.#offset[2 * row + 1]! * 2 ** 32 + this.#offset[2 * row]!;
    if (offset > MAX_OFFSET) throw outOfRange(this.#partition[row]!, offset);
    return offset;
  }
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
