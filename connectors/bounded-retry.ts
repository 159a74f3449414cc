import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { counted } from "../schemas/counted.js";
import { SluiceError, messageOf, orNull } from "../schemas/errors.js";

/** What an operator sees of an outage while it lasts. */
export interface RetryEvent {
  /** What was tried, with its object: for `status` and the log */
  readonly doing: string;
  readonly failure: string;
  readonly attempt: number;
  /** Since the first attempt */
  readonly elapsedMs: number;
  readonly nextDelayMs: number;
}

export type Settled = "done" | "given up";

export interface RetryPolicy {
  /** Gives up when the next attempt would start later than this after the first one. */
  readonly patienceMs: number;
  readonly firstDelayMs: number;
  readonly greatestDelayMs: number;
  readonly onRetry?: (event: RetryEvent) => void;
  /** Called where what had failed before has been done, goes on, is answered with a refusal, or has been given up. */
  readonly onSettled?: (doing: string, how: Settled) => void;
  /** Ends the waiting; what then is thrown is the last failure. */
  readonly signal: AbortSignal;
}

/**
 * Runs `attempt` until it returns, throws something that is not a retryable SluiceError, or the policy's patience ends.
 * Delays double, each shortened by up to half by chance, so that many clients of a server that comes back do not call in
 * step. `attempt` may call `progress`: the patience then counts from that moment.
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  doing: string,
  attempt: (progress: () => void) => Promise<T>,
): Promise<T> {
  const wait = new RetryWait(policy, doing);
  for (;;) {
    try {
      const result = await attempt(() => {
        wait.progress();
      });
      wait.progress();
      return result;
    } catch (error) {
      await wait.afterFailure(error);
    }
  }
}

/** The waiting part alone, for generators. */
export class RetryWait {
  readonly #policy: RetryPolicy;
  readonly #doing: string;
  #startedMs = performance.now();
  #attempts = 0;

  constructor(policy: RetryPolicy, doing: string) {
    this.#policy = policy;
    this.#doing = doing;
  }

  progress(): void {
    if (this.#attempts > 0) this.#policy.onSettled?.(this.#doing, "done");
    this.#startedMs = performance.now();
    this.#attempts = 0;
  }

  /** Waits before the next attempt, or throws `error` where there is to be none. */
  async afterFailure(error: unknown): Promise<void> {
    const { patienceMs, firstDelayMs, greatestDelayMs, onRetry, onSettled, signal } = this.#policy;
    this.#attempts++;
    const isAnswered = !(error instanceof SluiceError) || !error.retryable;
    if (isAnswered || signal.aborted) {
      // A server that says "there is none" is back, too.
      if (this.#attempts > 1) onSettled?.(this.#doing, isAnswered ? "done" : "given up");
      throw error;
    }
    const delayMs = Math.min(firstDelayMs * 2 ** (this.#attempts - 1), greatestDelayMs) * (1 - Math.random() / 2);
    const elapsedMs = performance.now() - this.#startedMs;
    if (elapsedMs + delayMs > patienceMs) {
      if (this.#attempts > 1) onSettled?.(this.#doing, "given up");
      throw this.#attempts === 1
        ? error
        : new SluiceError(
            error.code,
            `${error.message} Tried ${counted(this.#attempts, "time")} in ${(elapsedMs / 1000).toFixed(1)} s.`,
            { ...error.context, cause: error.cause ?? error, retryable: true },
          );
    }
    onRetry?.({
      doing: this.#doing,
      failure: messageOf(error),
      attempt: this.#attempts,
      elapsedMs,
      nextDelayMs: delayMs,
    });
    if ((await orNull(sleep(delayMs, true, { signal }), "ABORT_ERR")) === null) {
      onSettled?.(this.#doing, "given up");
      throw error;
    }
  }
}
