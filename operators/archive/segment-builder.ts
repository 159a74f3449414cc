import { SluiceError } from "../../schemas/errors.js";
import type { BytesState, ScoredBatch } from "../../schemas/scored-batch.js";
import { PDQ_BYTES } from "../../schemas/pdq-hash.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import type { Rejected } from "../../schemas/segment.js";
import type { Pdq } from "../image/pdq.js";

/** One image's scores, wherever they came from: the engine, or an earlier row of the same digest. */
export interface RowScores {
  /** [M] each */
  readonly classes: Int32Array;
  readonly keys: Float64Array;
  readonly logits: Float32Array;
  readonly logSumExp: number;
  /** [C] or null */
  readonly allLogits: Float32Array | null;
  /** [D] or null */
  readonly embedding: Float32Array | null;
  readonly pdq: Pdq;
  /** Codes of IMAGE_NOTES, joined by commas; null for none */
  readonly notes: string | null;
  readonly width: number;
  readonly height: number;
}

/** Everything about an image's row but its scores. */
export interface RowOrigin {
  readonly offset: number;
  readonly eventTimeMs: number;
  /** 32 bytes */
  readonly digest: Uint8Array;
  readonly uri: string;
  readonly sizeBytes: number;
  readonly licence: string | null;
  readonly origin: string | null;
  readonly retryOf: number | null;
}

/** Collects the outcomes of consecutive offsets into the columns of one segment. */
export class SegmentBuilder {
  readonly #partition: number;
  readonly #topM: number;
  readonly #classCount: number | null;
  readonly #embeddingSize: number | null;
  readonly #rows: {
    origin: RowOrigin;
    scores: RowScores;
    copied: boolean;
    bytes: BytesState;
    pack: string | null;
  }[] = [];
  readonly #rejected: Rejected[] = [];
  #watermarkMs: number | null;
  #end: number;

  /** `classCount` is C where all logits are kept, `embeddingSize` D where embeddings are. `start` is where the chain ends so far. */
  constructor(options: {
    partition: number;
    topM: number;
    classCount: number | null;
    embeddingSize: number | null;
    start: number;
    watermarkMs: number | null;
  }) {
    this.#partition = options.partition;
    this.#topM = options.topM;
    this.#classCount = options.classCount;
    this.#embeddingSize = options.embeddingSize;
    this.#watermarkMs = options.watermarkMs;
    this.#end = options.start;
  }

  /** Records taken in, scored or not */
  get records(): number {
    return this.#rows.length + this.#rejected.length;
  }

  /** Offset after the last record */
  get end(): number {
    return this.#end;
  }

  get watermarkMs(): number | null {
    return this.#watermarkMs;
  }

  get rejected(): readonly Rejected[] {
    return this.#rejected;
  }

  /** Offsets of earlier quarantined records that these rows take up again */
  get retried(): number[] {
    return this.#rows.flatMap(({ origin }) => origin.retryOf ?? []);
  }

  /** `pack`: as the column has it */
  add(origin: RowOrigin, scores: RowScores, copied: boolean, bytes: BytesState, pack: string | null = null): void {
    this.#rows.push({ origin, scores, copied, bytes, pack });
    this.#advance(origin.offset);
    if (this.#watermarkMs === null || origin.eventTimeMs > this.#watermarkMs) this.#watermarkMs = origin.eventTimeMs;
  }

  /** A quarantined record does not move the watermark: its clock is not to be believed more than its bytes. */
  reject(rejected: Rejected): void {
    this.#rejected.push(rejected);
    this.#advance(rejected.offset);
  }

  #advance(offset: number): void {
    if (offset < this.#end) throw new RangeError(`offset ${offset} comes after ${this.#end}: records out of order`);
    this.#end = offset + 1;
  }

  counts(): { in: number; scored: number; copied: number; quarantined: number; lost: number } {
    const copied = this.#rows.reduce((sum, row) => sum + (row.copied ? 1 : 0), 0);
    return {
      in: this.records,
      scored: this.#rows.length - copied,
      copied,
      quarantined: this.#rejected.length,
      lost: 0,
    };
  }

  build(): ScoredBatch {
    const count = this.#rows.length;
    const topM = this.#topM;
    const classCount = this.#classCount;
    const embeddingSize = this.#embeddingSize;
    const batch = {
      count,
      topM,
      digest: new Uint8Array(count * DIGEST_BYTES),
      partition: new Int32Array(count).fill(this.#partition),
      offset: new BigInt64Array(count),
      eventTimeMs: new BigInt64Array(count),
      copied: new Uint8Array(count),
      bytes: new Uint8Array(count),
      pack: { get: (row: number) => this.#rows[row]!.pack },
      uri: { get: (row: number) => this.#rows[row]!.origin.uri },
      sizeBytes: new Uint32Array(count),
      width: new Uint32Array(count),
      height: new Uint32Array(count),
      pdq: new Uint8Array(count * PDQ_BYTES),
      pdqQuality: new Uint8Array(count),
      licence: { get: (row: number) => this.#rows[row]!.origin.licence },
      origin: { get: (row: number) => this.#rows[row]!.origin.origin },
      notes: { get: (row: number) => this.#rows[row]!.scores.notes },
      retryOf: new BigInt64Array(count),
      classes: new Int32Array(count * topM),
      keys: new Float64Array(count * topM),
      logits: new Float32Array(count * topM),
      logSumExp: new Float64Array(count),
      // What is copied from a row without them has none.
      allLogits: classCount === null ? null : new Float32Array(count * classCount).fill(NaN),
      embedding: embeddingSize === null ? null : new Float32Array(count * embeddingSize).fill(NaN),
    } satisfies ScoredBatch;
    this.#rows.forEach(({ origin, scores, copied, bytes }, row) => {
      assertTopM(scores, topM, origin);
      batch.digest.set(origin.digest, row * DIGEST_BYTES);
      batch.offset[row] = BigInt(origin.offset);
      batch.eventTimeMs[row] = BigInt(Math.trunc(origin.eventTimeMs));
      batch.copied[row] = copied ? 1 : 0;
      batch.bytes[row] = bytes;
      batch.sizeBytes[row] = origin.sizeBytes;
      batch.width[row] = scores.width;
      batch.height[row] = scores.height;
      batch.pdq.set(scores.pdq.hash, row * PDQ_BYTES);
      batch.pdqQuality[row] = scores.pdq.quality;
      batch.retryOf[row] = BigInt(origin.retryOf ?? -1);
      // A row that was copied from one with more classes has them best first.
      batch.classes.set(scores.classes.subarray(0, topM), row * topM);
      batch.keys.set(scores.keys.subarray(0, topM), row * topM);
      batch.logits.set(scores.logits.subarray(0, topM), row * topM);
      batch.logSumExp[row] = scores.logSumExp;
      if (scores.allLogits !== null && batch.allLogits !== null) {
        batch.allLogits.set(scores.allLogits, row * (classCount ?? 0));
      }
      if (batch.embedding !== null && scores.embedding?.length === embeddingSize) {
        batch.embedding.set(scores.embedding, row * embeddingSize);
      }
    });
    return batch;
  }
}

/** Places that nothing was written to would be of class 0, with a probability of 1. */
function assertTopM({ classes }: RowScores, topM: number, { uri }: RowOrigin): void {
  if (classes.length >= topM) return;
  throw new SluiceError("E_INTERNAL", `Expected ${topM} classes of ${uri} to archive, found ${classes.length}.`);
}

/** The scores of one row of a batch, as views. */
export function rowScores(batch: ScoredBatch, row: number): RowScores {
  const { topM } = batch;
  const classCount = batch.allLogits === null ? 0 : batch.allLogits.length / batch.count;
  const embeddingSize = batch.embedding === null ? 0 : batch.embedding.length / batch.count;
  return {
    classes: batch.classes.subarray(row * topM, (row + 1) * topM),
    keys: batch.keys.subarray(row * topM, (row + 1) * topM),
    logits: batch.logits.subarray(row * topM, (row + 1) * topM),
    logSumExp: batch.logSumExp[row]!,
    allLogits: batch.allLogits === null ? null : batch.allLogits.subarray(row * classCount, (row + 1) * classCount),
    embedding:
      batch.embedding === null ? null : batch.embedding.subarray(row * embeddingSize, (row + 1) * embeddingSize),
    pdq: {
      hash: batch.pdq.subarray(row * PDQ_BYTES, (row + 1) * PDQ_BYTES),
      quality: batch.pdqQuality[row]!,
    },
    notes: batch.notes.get(row),
    width: batch.width[row]!,
    height: batch.height[row]!,
  };
}
