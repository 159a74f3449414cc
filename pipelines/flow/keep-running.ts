import { isSluiceError, type SluiceError } from "../../schemas/errors.js";
import type { Loop, Observer } from "../../schemas/observed.js";
import { sleepUntil } from "./sleep-until.js";

export interface KeepRunningOptions {
  readonly signal: AbortSignal;
  readonly onWarning: (message: string, code?: string) => void;
  /** Told that the work begins anew; `loop`: what it is part of */
  readonly observer?: Observer | undefined;
  readonly loop?: Loop;
  readonly nowMs: () => number;
  /** Whether the work is begun anew after an error; by default after what may succeed another time */
  readonly passes?: (error: SluiceError) => boolean;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Work that went well for so long has got over what had failed before. */
const WELL_MS = 60_000;

/**
 * Runs work that resumes by itself until it ends or `signal` aborts, and begins it anew after what may succeed another time (a broker or
 * a store that is away, a segment that another scorer wrote first, a partition that was taken away). Everything else is thrown; after `signal`, also the
 * former.
 */
export async function keepRunning(work: () => Promise<void>, options: KeepRunningOptions): Promise<void> {
  const { signal, onWarning, nowMs, observer, loop, passes = mayPass } = options;
  let waitMs = FIRST_WAIT_MS;
  while (!signal.aborted) {
    const startedMs = nowMs();
    try {
      await work();
      return;
    } catch (error) {
      if (!isSluiceError(error) || !passes(error) || isAborted(signal)) throw error;
      if (nowMs() - startedMs > WELL_MS) waitMs = FIRST_WAIT_MS;
      onWarning(`${error.message} Going on from what is written down in ${waitMs / 1000} s.`, error.code);
      if (loop !== undefined) observer?.take({ event: "loop.away", loop, code: error.code, waitMs });
      await sleepUntil(waitMs, signal);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    }
  }
}

/**
 * Work that was cancelled, though nobody has asked this process to stop, was taken away by the group: another one goes on
 * with it, or this one does, anew. Seen where a partition's last commit came too late and images of the next generation
 * waited for scores of the flow that was cut off.
 */
function mayPass(error: SluiceError): boolean {
  return error.retryable || error.code === "E_CANCELLED";
}

/** It may abort at any `await`. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
