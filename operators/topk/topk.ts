import { createHash } from "node:crypto";
import type { CandidateBatch } from "../../schemas/candidate-batch.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Out } from "./out.js";
import { TopkBuffers } from "./topk-buffer.js";
import { ENTRY_BYTES, IDENTITY_WORD, readKey, readOffset, readPartition, WORDS } from "./topk-entry.js";
import { kByClass, type TopkParameters } from "./topk-size.js";
import { encodeHeader, shapeOf, snapshotBytes, SnapshotReader, type SnapshotSink } from "./topk-snapshot.js";

export { estimateTopkBytes, type TopkParameters } from "./topk-size.js";

const VERSION = 1;

/** Restoring is constructing: equal state gives equal snapshot bytes. */
export interface TopkOperator {
  /** Throws E_CHECKPOINT_CORRUPT for bytes that no snapshot has. */
  restore(snapshot?: Uint8Array): TopkState;
  /** Restores from a snapshot that comes in chunks; `end` returns the state. Both throw E_CHECKPOINT_CORRUPT. */
  restoring(): { push(chunk: Uint8Array): void; end(): TopkState };
}

/** One class's best images, rank ascending: key descending, then identity ascending. */
export interface TopkRows {
  readonly count: number;
  /** [n] */
  readonly keys: Float64Array;
  /** first 128 bits of the digest as big-endian words, [n x 4] */
  readonly identity: Uint32Array;
  /** [n] */
  readonly partition: Uint16Array;
  /** [n] */
  readonly offset: Float64Array;
}

/**
 * Keeps the K + R best images of every class, exactly and whatever the order they come in. An image that is seen more
 * than once in a class counts once, with its greatest key, then its lowest (partition, offset).
 * Throws E_SELECTION for parameters out of range.
 */
export function topk(parameters: TopkParameters): TopkOperator {
  kByClass(parameters);
  const restoring = () => {
    const state = new TopkState(parameters);
    const reader = new SnapshotReader(restoringSink(state));
    return {
      push: (chunk: Uint8Array) => {
        reader.push(chunk);
      },
      end: () => {
        reader.end();
        return state;
      },
    };
  };
  return {
    restoring,
    restore(snapshot) {
      if (snapshot === undefined) return new TopkState(parameters);
      const restored = restoring();
      restored.push(snapshot);
      return restored.end();
    },
  };
}

export class TopkState {
  readonly parameters: TopkParameters;
  /** @internal */
  readonly buffers: TopkBuffers;
  readonly #k: Int32Array;

  /** @internal Made by the operator's `restore`. */
  constructor(parameters: TopkParameters) {
    this.parameters = parameters;
    this.buffers = new TopkBuffers(parameters);
    this.#k = kByClass(parameters);
  }

  /**
   * Least key of a candidate that may still enter a class, [L], live: the floor (by default -Infinity) while a class
   * has fewer than K + R distinct images. Never above the exact bound; equal to it after `snapshot`, `counts` or `rows`.
   */
  get thresholds(): Float64Array {
    return this.buffers.thresholds;
  }

  /** K + R of each class: a class with fewer images has all that ever came, down to the floor, [L] */
  get kept(): Int32Array {
    return this.buffers.kept;
  }

  /** Rejects keys that are not finite. Throws E_INTERNAL for a class, partition or offset out of range. */
  onBatch(batch: CandidateBatch, out: Out<never>): void {
    const refused = this.buffers.take(batch);
    if (refused !== undefined) out.reject(refused, "E_IMAGE_SCORES", "expected a finite rank key");
  }

  /** Distinct images of each class, at most K + R, [L]. */
  counts(): Int32Array {
    return this.buffers.kept.map((_, classIndex) => this.buffers.trim(classIndex));
  }

  /** The best images of a class, at most `limit`; by default all that are kept. */
  rows(classIndex: number, limit = Infinity): TopkRows {
    const count = Math.min(this.buffers.settle(classIndex), limit);
    const words = this.buffers.words(classIndex);
    const keys = new Float64Array(count);
    const identity = new Uint32Array(4 * count);
    const partition = new Uint16Array(count);
    const offset = new Float64Array(count);
    for (let i = 0, at = 0; i < count; i++, at += WORDS) {
      keys[i] = readKey(words, at);
      for (let word = 0; word < 4; word++) identity[4 * i + word] = words[at + IDENTITY_WORD + word]!;
      partition[i] = readPartition(words, at);
      offset[i] = readOffset(words, at);
    }
    return { count, keys, identity, partition, offset };
  }

  snapshot(): Uint8Array {
    const bytes = new Uint8Array(snapshotBytes(this.counts()));
    let end = 0;
    for (const chunk of this.snapshotChunks()) {
      bytes.set(chunk, end);
      end += chunk.length;
    }
    return bytes;
  }

  /**
   * The snapshot's bytes, a class at a time, without a second copy of the state. A chunk is a view of the state: use
   * it before the state changes.
   */
  *snapshotChunks(): Generator<Uint8Array, void> {
    const counts = this.buffers.kept.map((_, classIndex) => this.buffers.settle(classIndex));
    const hash = createHash("sha256");
    const header = encodeHeader({ ...shapeOf(VERSION, this.parameters, this.#k), counts });
    hash.update(header);
    yield header;
    for (let classIndex = 0; classIndex < counts.length; classIndex++) {
      if (counts[classIndex] === 0) continue;
      const words = this.buffers.words(classIndex);
      const chunk = new Uint8Array(words.buffer, words.byteOffset, counts[classIndex]! * ENTRY_BYTES);
      hash.update(chunk);
      yield chunk;
    }
    yield hash.digest();
  }

  /**
   * Takes in `other`, a state or a snapshot with the same parameters, and returns itself: the state of the union.
   * `other` stays as it is. Throws E_SELECTION for a state with other parameters and E_CHECKPOINT_CORRUPT for a
   * snapshot that is not whole, after which this state must not be used.
   */
  merge(other: TopkState | Uint8Array): this {
    if (other instanceof Uint8Array) {
      const merging = this.merging();
      merging.push(other);
      merging.end();
      return this;
    }
    const mine = encodeHeader({ ...shapeOf(VERSION, this.parameters, this.#k), counts: new Int32Array(0) });
    const theirs = encodeHeader({ ...shapeOf(VERSION, other.parameters, other.#k), counts: new Int32Array(0) });
    if (mine.length !== theirs.length || mine.some((byte, i) => byte !== theirs[i])) {
      throw new SluiceError("E_SELECTION", "Expected a state with the same classes, K, R and floor to merge with.");
    }
    for (let classIndex = 0; classIndex < this.#k.length; classIndex++) {
      this.buffers.takeEntries(classIndex, other.buffers.words(classIndex), other.buffers.sizes[classIndex]!);
    }
    return this;
  }

  /** Merges a snapshot that comes in chunks: only one class of it is held. The same errors as `merge`. */
  merging(): { push(chunk: Uint8Array): void; end(): void } {
    let held = new Uint32Array(0);
    return new SnapshotReader({
      expected: shapeOf(VERSION, this.parameters, this.#k),
      open: (_, count) => {
        if (held.length < count * WORDS) held = new Uint32Array(count * WORDS);
        return bytesOf(held.subarray(0, count * WORDS));
      },
      close: (classIndex, count) => {
        this.buffers.takeEntries(classIndex, held, count);
      },
    });
  }
}

function restoringSink(state: TopkState): SnapshotSink {
  const { parameters, buffers } = state;
  return {
    expected: shapeOf(VERSION, parameters, kByClass(parameters)),
    open: (classIndex, count) => bytesOf(buffers.open(classIndex, count)),
    close: (classIndex, count) => {
      buffers.opened(classIndex, count);
    },
  };
}

/** The same memory as bytes. */
function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
