import { isSluiceError, type ErrorCode } from "../../schemas/errors.js";
import type { ApiError } from "../../schemas/api/shared.js";

/** A call that is refused, with its HTTP status. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly body: ApiError;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { readonly field?: string; readonly said?: unknown[] } = {},
  ) {
    super(message);
    this.status = status;
    this.body = { error: { code, message, ...more } };
  }
}

/** What is wrong with the call, as against with the server. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  E_USAGE: 400,
  E_CONFIG: 400,
  E_SELECTION: 400,
  E_MEMORY: 400,
  E_DATASET_UNKNOWN: 404,
  E_VERSION_MISSING: 404,
  E_STORE_MISSING: 404,
  E_SOURCE_MISSING: 404,
  E_TEACHER_CARD: 404,
  E_DATASET_CONFLICT: 409,
  E_LOCKED: 409,
  E_STORE_READONLY: 409,
  E_STORE_IO: 503,
  E_LOG_IO: 503,
};

/** Anything thrown, as an answer. What is no error of ours keeps its words to the log: they may hold paths and more. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (isSluiceError(error)) return new Refusal(STATUS[error.code] ?? 500, error.code, error.message);
  return new Refusal(500, "E_INTERNAL", "The server met an error of its own; its log has it. Please report it.");
}
