import { randomBytes } from "node:crypto";
import type { Store } from "../../connectors/store/store.js";
import { isSluiceError, awaitedLater } from "../../schemas/errors.js";
import { compact } from "../compact.js";

/** Segments archived between two looks at what is due */
const LOOK_SEGMENTS = 64;

export interface KeepCompactedOptions {
  readonly store: Store;
  readonly teacher: string;
  readonly stream: string;
  /** Is told why compaction stands; scoring goes on, and it is tried again */
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Compacts what is due beside the scoring that makes it, so that nobody has to remember to. */
export class KeepCompacted {
  readonly #options: KeepCompactedOptions;
  #since = 0;
  #working: Promise<void> | null = null;

  constructor(options: KeepCompactedOptions) {
    this.#options = options;
  }

  /** A segment was archived. */
  note(): void {
    this.#since++;
    if (this.#since < LOOK_SEGMENTS || this.#working !== null) return;
    this.#since = 0;
    this.#working = awaitedLater(
      this.#compact().finally(() => {
        this.#working = null;
      }),
    );
  }

  /** Waits for what is under way, and looks once more. */
  async end(): Promise<void> {
    await this.#working;
    if (!this.#options.signal.aborted) await this.#compact();
  }

  async #compact(): Promise<void> {
    const { onWarning } = this.#options;
    try {
      const done = await compact({ ...this.#options, dueOnly: true, attempt: () => randomBytes(6).toString("hex") });
      for (const { chain, start, error } of done.refused) {
        onWarning(`Compaction of ${chain.stream}/${chain.partition} stands at ${start}: ${error.message}`);
      }
    } catch (error) {
      if (!isSluiceError(error)) throw error;
      onWarning(`Compaction is tried again later: ${error.message}`);
    }
  }
}
