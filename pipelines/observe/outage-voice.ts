import type { RetryEvent, Settled } from "../../connectors/bounded-retry.js";

/** An outage is worth a word after so long, and another one after so long again, ms */
const FIRST_MS = 5_000;
const AGAIN_MS = 30_000;

/** Says that a server does not answer: after seconds, again at intervals, and when it answers. */
export class OutageVoice {
  readonly #say: (line: string) => void;
  readonly #nowMs: () => number;
  /** What is tried and has failed so far, and since when, ms */
  readonly #failing = new Map<string, number>();
  #saidMs: number | null = null;
  #sinceMs = 0;

  constructor(say: (line: string) => void, nowMs: () => number) {
    this.#say = say;
    this.#nowMs = nowMs;
  }

  readonly onRetry = ({ doing, failure, elapsedMs }: RetryEvent): void => {
    const nowMs = this.#nowMs();
    const sinceMs = this.#failing.get(doing) ?? nowMs - elapsedMs;
    this.#failing.set(doing, sinceMs);
    if (nowMs - sinceMs < FIRST_MS || (this.#saidMs !== null && nowMs - this.#saidMs < AGAIN_MS)) return;
    if (this.#saidMs === null) this.#sinceMs = sinceMs;
    this.#saidMs = nowMs;
    this.#say(`Waiting for ${seconds(nowMs - this.#sinceMs)}, going on by itself: ${failure}`);
  };

  /** What is given up is said by those who asked for it. */
  readonly onSettled = (doing: string, how: Settled): void => {
    if (!this.#failing.delete(doing) || this.#failing.size > 0 || this.#saidMs === null) return;
    if (how === "done") this.#say(`Going on after ${seconds(this.#nowMs() - this.#sinceMs)}: ${doing}.`);
    this.#saidMs = null;
  };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
