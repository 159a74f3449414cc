import { awaitedLater, isSluiceError } from "../../schemas/errors.js";

export interface UpkeepOptions {
  /** Segments archived between two pieces of work */
  readonly everySegments: number;
  /** Said of what fails, before its message */
  readonly failure: string;
  /** Is told why the work fails; scoring goes on, and it is tried again */
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Work that is done again and again beside the scoring that makes it due, so that nobody has to remember to. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #work: () => Promise<void>;
  #since = 0;
  #working: Promise<void> | null = null;
  /** A fault of ours, which the next segment tells of */
  #broken: Error | null = null;

  constructor(options: UpkeepOptions, work: () => Promise<void>) {
    this.#options = options;
    this.#work = work;
  }

  /** A segment was archived. */
  note(): void {
    if (this.#broken !== null) throw this.#broken;
    this.#since++;
    if (this.#since < this.#options.everySegments || this.#working !== null) return;
    this.#since = 0;
    this.#working = awaitedLater(
      this.#try().finally(() => {
        this.#working = null;
      }),
    );
  }

  /** Waits for what is under way, and works once more. */
  async end(): Promise<void> {
    await this.#working;
    if (!this.#options.signal.aborted) await this.#try();
  }

  async #try(): Promise<void> {
    try {
      await this.#work();
    } catch (error) {
      if (!isSluiceError(error)) {
        this.#broken = error instanceof Error ? error : new Error(String(error));
        throw error;
      }
      this.#options.onWarning(`${this.#options.failure}: ${error.message}`);
    }
  }
}
