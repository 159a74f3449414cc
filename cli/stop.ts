import { EXIT, SluiceError } from "../schemas/errors.js";

export interface SignalSource {
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
}

export interface StopOptions {
  readonly signals: SignalSource;
  readonly nowMs: () => number;
  /** Says to the person what is going on */
  readonly say: (line: string) => void;
  /** Ends the process at once */
  readonly exit: (code: number) => void;
}

/**
 * npm and npx pass the terminal's Ctrl-C on to their child, which has had it from the terminal already: one key press
 * arrives twice within a few ms. No person presses twice in this time on purpose.
 */
const SAME_PRESS_MS = 250;

/** The first Ctrl-C asks the work to stop where it can resume, the second ends the process. SIGTERM counts alike. */
export class Stop {
  readonly #controller = new AbortController();
  readonly #options: StopOptions;
  #askedAtMs: number | null = null;

  constructor(options: StopOptions) {
    this.#options = options;
    options.signals.on("SIGINT", this.#onSignal);
    options.signals.on("SIGTERM", this.#onSignal);
  }

  /** Aborts at the first signal, with E_CANCELLED as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get asked(): boolean {
    return this.#askedAtMs !== null;
  }

  close(): void {
    this.#options.signals.off("SIGINT", this.#onSignal);
    this.#options.signals.off("SIGTERM", this.#onSignal);
  }

  readonly #onSignal = (): void => {
    const { nowMs, say, exit } = this.#options;
    const atMs = nowMs();
    if (this.#askedAtMs === null) {
      this.#askedAtMs = atMs;
      say("Stopping: what is in flight is finished and written down. Press Ctrl-C again to end at once.");
      this.#controller.abort(
        new SluiceError("E_CANCELLED", "Stopped on request. The same command goes on where this one stopped."),
      );
    } else if (atMs - this.#askedAtMs >= SAME_PRESS_MS) {
      say("Ended at once. Nothing written down is lost: the same command goes on from the last checkpoint.");
      exit(EXIT.interrupted);
    }
  };
}
