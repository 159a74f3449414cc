import { SluiceError } from "../../schemas/errors.js";

/** Throws E_CANCELLED once the signal has aborted; `message` says what was stopped and what became of it. */
export function throwIfStopped(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted === true) throw new SluiceError("E_CANCELLED", message, { cause: signal.reason });
}
