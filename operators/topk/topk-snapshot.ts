import { counted } from "../../schemas/counted.js";
import { createHash } from "node:crypto";
import { SluiceError } from "../../schemas/errors.js";
import { ENTRY_BYTES } from "./topk-entry.js";
import type { TopkParameters } from "./topk-size.js";

/**
 * A state as bytes, little-endian. Equal states give equal bytes.
 *
 *      0  magic, 8 bytes        8  version, u32      12  classes L, u32      16  reserve R, u32      20  zero, u32
 *     24  floor key, f64       32  K of each class, u32[L]      then  entries of each class, u32[L]
 *     then the entries, class by class, each class sorted: 32 bytes each, see topk-entry.ts
 *     then SHA-256 of all of the above, 32 bytes
 */
/** "SLUICETK" */
const MAGIC = 0x4b54454349554c53n;
const FIXED_BYTES = 32;
export const DIGEST_BYTES = 32;

export interface SnapshotShape {
  readonly version: number;
  readonly reserve: number;
  readonly floorKey: number;
  /** [L] */
  readonly k: Int32Array;
  /** [L] */
  readonly counts: Int32Array;
}

export function headerBytes(classes: number): number {
  return FIXED_BYTES + 8 * classes;
}

export function encodeHeader(shape: SnapshotShape): Uint8Array {
  const classes = shape.k.length;
  const bytes = new Uint8Array(headerBytes(classes));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(8, shape.version, true);
  view.setUint32(12, classes, true);
  view.setUint32(16, shape.reserve, true);
  view.setFloat64(24, shape.floorKey, true);
  shape.k.forEach((k, i) => {
    view.setUint32(FIXED_BYTES + 4 * i, k, true);
  });
  shape.counts.forEach((count, i) => {
    view.setUint32(FIXED_BYTES + 4 * (classes + i), count, true);
  });
  return bytes;
}

/** Where a reader puts what it reads. */
export interface SnapshotSink {
  /** What the snapshot must be of; `counts` is taken from the bytes. */
  readonly expected: Omit<SnapshotShape, "counts">;
  /** Where the `count` entries of a class go */
  open(classIndex: number, count: number): Uint8Array;
  close(classIndex: number, count: number): void;
}

/**
 * Reads a snapshot pushed in chunks of any size, so that nothing larger than a chunk and a class is held twice. What
 * the sink was given counts only once `end` has returned: the digest is checked last.
 */
export class SnapshotReader {
  readonly #sink: SnapshotSink;
  readonly #hash = createHash("sha256");
  readonly #digest = new Uint8Array(DIGEST_BYTES);
  #counts: Int32Array | null = null;
  /** What is being filled, and up to where */
  #target: Uint8Array;
  #filled = 0;
  #classIndex = -1;

  constructor(sink: SnapshotSink) {
    this.#sink = sink;
    this.#target = new Uint8Array(headerBytes(sink.expected.k.length));
  }

  /** Throws E_CHECKPOINT_CORRUPT. `chunk` may be reused once this has returned. */
  push(chunk: Uint8Array): void {
    let read = 0;
    for (;;) {
      const take = Math.min(chunk.length - read, this.#target.length - this.#filled);
      const part = chunk.subarray(read, read + take);
      this.#target.set(part, this.#filled);
      if (this.#target !== this.#digest) this.#hash.update(part);
      read += take;
      this.#filled += take;
      if (this.#filled === this.#target.length && this.#target !== this.#digest) this.#advance();
      else if (read < chunk.length) throw corrupt("found bytes after its end");
      else return;
    }
  }

  /** Throws E_CHECKPOINT_CORRUPT unless exactly one whole snapshot was pushed. */
  end(): void {
    if (this.#target !== this.#digest || this.#filled < DIGEST_BYTES) throw corrupt("it ends too early");
    if (!this.#hash.digest().equals(this.#digest)) throw corrupt("its SHA-256 is not the one that it was written with");
  }

  #advance(): void {
    if (this.#counts === null) this.#counts = this.#parseHeader(this.#target);
    else this.#sink.close(this.#classIndex, this.#counts[this.#classIndex]!);
    do this.#classIndex++;
    while (this.#counts[this.#classIndex] === 0);
    this.#filled = 0;
    const count = this.#counts[this.#classIndex];
    this.#target = count === undefined ? this.#digest : this.#sink.open(this.#classIndex, count);
  }

  #parseHeader(bytes: Uint8Array): Int32Array {
    const { expected } = this.#sink;
    const classes = expected.k.length;
    const counts = new Int32Array(classes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < classes; i++) counts[i] = view.getUint32(FIXED_BYTES + 4 * (classes + i), true);
    const wanted = encodeHeader({ ...expected, counts });
    const differs = bytes.findIndex((byte, i) => byte !== wanted[i]);
    if (differs >= 0) throw corrupt(`${FIELDS.find(({ end }) => differs < end)?.name ?? "K of a class"} differs`);
    for (let i = 0; i < classes; i++) {
      if (counts[i]! < 0 || counts[i]! > expected.k[i]! + expected.reserve) {
        throw corrupt(`class ${i} has ${counted(counts[i]! >>> 0, "entry", "entries")}, more than K + R`);
      }
    }
    return counts;
  }
}

const FIELDS = [
  { end: 8, name: "the magic number" },
  { end: 12, name: "the version of the operator" },
  { end: 16, name: "the number of classes" },
  { end: 20, name: "the reserve R" },
  { end: 24, name: "the padding" },
  { end: 32, name: "the floor" },
];

function corrupt(found: string): SluiceError {
  return new SluiceError(
    "E_CHECKPOINT_CORRUPT",
    `Expected the snapshot of a top-K state with these parameters, ${found}. ` +
      "Use an older checkpoint, or none: the archive holds everything that a state is made of.",
  );
}

/** Bytes of a snapshot of these counts. */
export function snapshotBytes(counts: Int32Array): number {
  return headerBytes(counts.length) + ENTRY_BYTES * counts.reduce((sum, count) => sum + count, 0) + DIGEST_BYTES;
}

/** K of each class, as the parameters give it, and the rest of what a header says. */
export function shapeOf(version: number, parameters: TopkParameters, k: Int32Array): Omit<SnapshotShape, "counts"> {
  return { version, reserve: parameters.reserve, floorKey: parameters.floorKey ?? -Infinity, k };
}
