/**
 * Candidates as columns: one row an (image, class). A class keeps its best by rank key descending, then digest
 * ascending. The first 128 bits of the digest are the image's identity: as four big-endian words, so that comparing
 * words compares digests.
 */
export interface CandidateBatch {
  readonly count: number;
  /** [n] */
  readonly classes: Int32Array;
  /** log-probability, finite, [n] */
  readonly keys: Float64Array;
  /** [n x 4] */
  readonly identity: Uint32Array;
  /** [n], 0 to 65,535 */
  readonly partition: Uint16Array;
  /** [n], 0 to 2^48 - 1 */
  readonly offset: Float64Array;
}
