import type { ErrorCode } from "../../schemas/errors.js";

/** Where an operator puts what it makes, and which rows of its input it refuses. */
export interface Out<Emitted> {
  emit(batch: Emitted): void;
  /** `rows` are indices into the batch that came in. */
  reject(rows: readonly number[], code: ErrorCode, reason: string): void;
}

/** One running instance of an operator. Synchronous; equal state gives equal snapshot bytes. */
export interface OperatorState<In, Emitted> {
  onBatch(batch: In, out: Out<Emitted>): void;
  onWatermark(eventTimeMs: number, out: Out<Emitted>): void;
  snapshot(): Uint8Array;
}

/** A step of the dataflow: pure, no I/O, no clock, no randomness. Restoring is constructing. */
export interface Operator<State> {
  readonly name: string;
  /** Part of a snapshot: another version's snapshot is refused, not guessed at. */
  readonly version: number;
  /** Throws E_CHECKPOINT_CORRUPT for bytes that no snapshot of this version has. */
  restore(snapshot?: Uint8Array): State;
}
