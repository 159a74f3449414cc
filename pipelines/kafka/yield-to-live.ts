import type { GroupLag } from "../../connectors/log/kafka/lag.js";
import { counted } from "../../schemas/counted.js";
import { isSluiceError } from "../../schemas/errors.js";
import { sleepUntil } from "../flow/sleep-until.js";

export interface YieldOptions {
  /** How far the live scorers' groups are behind */
  readonly lags: () => Promise<readonly GroupLag[]>;
  /** Records that a group may be behind */
  readonly most: number;
  /** Between two looks, ms */
  readonly everyMs: number;
  readonly onNote: (message: string) => void;
}

/** Makes others wait while live scorers are behind. */
export class YieldToLive {
  readonly #options: YieldOptions;
  /** undefined before the first look; null where nobody is behind */
  #behind: GroupLag | null | undefined;

  constructor(options: YieldOptions) {
    this.#options = options;
  }

  /** Looks again and again until `signal` aborts. While the broker is away what was seen last holds. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#see(await this.#options.lags());
      } catch (error) {
        if (isAborted(signal)) return;
        if (!isSluiceError(error) || !error.retryable) throw error;
      }
      await sleepUntil(this.#options.everyMs, signal);
    }
  }

  /** Settles when no group is too far behind, or `signal` aborts. */
  async clear(signal: AbortSignal): Promise<void> {
    while (this.#behind !== null && !signal.aborted) {
      await sleepUntil(Math.min(200, this.#options.everyMs), signal);
    }
  }

  #see(lags: readonly GroupLag[]): void {
    const { most, onNote } = this.#options;
    const worst = lags.reduce<GroupLag | null>((far, one) => (one.lag > (far?.lag ?? most) ? one : far), null);
    if (worst !== null && !this.#behind) {
      onNote(`waiting: ${worst.group} is ${counted(worst.lag, "record")} behind, which is more than ${most}`);
    } else if (worst === null && this.#behind) onNote("going on: live scorers have caught up");
    this.#behind = worst;
  }
}

/** It may abort at any `await`. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
