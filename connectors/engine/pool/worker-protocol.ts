import { SluiceError, type ErrorCode } from "../../../schemas/errors.js";
import type { RunnerSetup } from "./model-runner.js";

/** What an engine and its workers say to each other. Plain values, so that threads and processes carry the same. */
export type ToWorker =
  | { readonly type: "load"; readonly setup: RunnerSetup }
  | ({ readonly type: "run"; readonly id: number } & RunRequest)
  | { readonly type: "close" };

export type FromWorker =
  | { readonly type: "ready"; readonly runner: RunnerDescription }
  | { readonly type: "unready"; readonly error: PlainError }
  | { readonly type: "done"; readonly id: number; readonly logits: Float32Array }
  | { readonly type: "failed"; readonly id: number; readonly error: PlainError };

export interface RunRequest {
  /** u8, [count x height x width x channels] */
  readonly pixels: Uint8Array;
  readonly count: number;
  /** Most images in one run: a longer batch is run in parts */
  readonly mostAtOnce: number;
  /** Rows of every run, filled up with zeros; null where a run has just its images */
  readonly padTo: number | null;
}

export interface RunnerDescription {
  readonly name: string;
  readonly version: string;
  readonly backend: string;
  readonly device: string;
  readonly fixedBatch: number | null;
}

export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string | undefined;
}

export function toPlainError(error: unknown, otherwise: ErrorCode, prefix: string): PlainError {
  if (error instanceof SluiceError) return { code: error.code, message: error.message, stack: error.stack };
  const message = error instanceof Error ? error.message : String(error);
  return { code: otherwise, message: `${prefix}: ${message}`, stack: error instanceof Error ? error.stack : undefined };
}

export function fromPlainError({ code, message, stack }: PlainError): SluiceError {
  return new SluiceError(code, message, { workerStack: stack });
}
