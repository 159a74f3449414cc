import type { ErrorCode } from "../../schemas/errors.js";

/** Where an operator puts what it makes, and which rows of its input it refuses. */
export interface Out<Emitted> {
  emit(batch: Emitted): void;
  /** `rows` are indices into the batch that came in. */
  reject(rows: readonly number[], code: ErrorCode, reason: string): void;
}
