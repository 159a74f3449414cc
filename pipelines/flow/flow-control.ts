import { getIfThere, type Store } from "../../connectors/store/store.js";
import { isSluiceError, messageOf, orNull, SluiceError } from "../../schemas/errors.js";
import {
  decodeFlowControl,
  encodeFlowControl,
  type ControlWord,
  type FlowControlWord,
  type StandingControl,
} from "../../schemas/flow-control.js";
import { controlNumber, keys } from "../../schemas/keys.js";
import { sleepUntil } from "./sleep-until.js";

/** By default a running process looks so often whether something else is asked of it, ms: one small request */
const LOOK_MS = 1000;

/** What is asked of those who score a stream; null where nothing ever was. Throws E_STORE_CORRUPT. */
export async function standingControl(store: Store, stream: string): Promise<StandingControl | null> {
  const newest = await newestNumber(store, stream);
  if (newest < 0) return null;
  const key = keys.control(stream, newest);
  return standing(newest, decodeFlowControl(await store.get(key), key));
}

/** -1 where there is none */
async function newestNumber(store: Store, stream: string): Promise<number> {
  let newest = -1;
  for await (const { key } of store.list(keys.controls(stream))) newest = Math.max(newest, controlNumber(key) ?? -1);
  return newest;
}

function standing(number: number, { want, by, reason, atMs }: FlowControlWord): StandingControl {
  return { number, want, by, reason, atMs };
}

export interface AskedControl {
  readonly want: ControlWord;
  readonly by: string;
  readonly reason: string | null;
  readonly nowMs: number;
  /** The number that stood when the caller looked; left out, whatever stands is followed */
  readonly seen?: number | null | undefined;
}

/**
 * Asks something of those who score a stream. What stands already is not said again. Throws E_DATASET_CONFLICT where somebody has asked
 * something else since the caller looked.
 */
export async function askControl(store: Store, stream: string, asked: AskedControl): Promise<StandingControl> {
  const { want, by, reason, nowMs, seen } = asked;
  for (;;) {
    const before = await orNull(standingControl(store, stream), "E_STORE_CORRUPT");
    if (seen !== undefined && (before?.number ?? null) !== seen) {
      throw new SluiceError(
        "E_DATASET_CONFLICT",
        `Expected that nobody had asked anything of stream ${stream} meanwhile, found that ${before?.by ?? "somebody"} did: ${before?.want ?? "run"}. Look again.`,
        { found: before },
      );
    }
    // Each drain is of those who run at its moment.
    if (want !== "drain" && (before?.want ?? "run") === want && before !== null) return before;
    const number = (before?.number ?? (await newestNumber(store, stream))) + 1;
    const word = { want, by, reason, atMs: Math.trunc(nowMs) };
    if ((await store.putIfAbsent(keys.control(stream, number), encodeFlowControl(word))) === "created")
      return { number, ...word };
  }
}

export interface FlowControlOptions {
  readonly store: Store;
  readonly stream: string;
  /** Told of what is asked of this process */
  readonly onChange: (standing: StandingControl) => void;
  readonly onWarning: (message: string) => void;
  /** How often it looks, ms */
  readonly lookMs?: number;
}

/** What is asked of one running process, followed as long as it runs. */
export class FlowControl {
  readonly #options: FlowControlOptions;
  readonly #closed = new AbortController();
  readonly #drain = new AbortController();
  readonly #waiting = new Set<() => void>();
  #standing: StandingControl | null;
  #watching: Promise<void> = Promise.resolve();
  #warned = "";

  private constructor(options: FlowControlOptions, found: StandingControl | null) {
    this.#options = options;
    this.#standing = found;
  }

  /** A drain that was asked before is of others. */
  static async open(options: FlowControlOptions): Promise<FlowControl> {
    const control = new FlowControl(options, await standingControl(options.store, options.stream));
    control.#watching = control.#watch();
    return control;
  }

  get standing(): StandingControl | null {
    return this.#standing;
  }

  get isPaused(): boolean {
    return this.#standing?.want === "pause";
  }

  /** Aborts when a drain is asked of this process */
  get drain(): AbortSignal {
    return this.#drain.signal;
  }

  /** null: go on. Else settles when one may, with false where `signal` aborted before. */
  hold(signal: AbortSignal): Promise<boolean> | null {
    return this.isPaused ? this.#wait(signal) : null;
  }

  async #wait(signal: AbortSignal): Promise<boolean> {
    while (this.isPaused && !signal.aborted && !this.#closed.signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
    return !signal.aborted;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closed;
    const { lookMs = LOOK_MS } = this.#options;
    for (;;) {
      await sleepUntil(lookMs, signal);
      if (signal.aborted) return;
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { store, stream, onChange, onWarning } = this.#options;
    try {
      for (;;) {
        const number = (this.#standing?.number ?? -1) + 1;
        const key = keys.control(stream, number);
        const bytes = await getIfThere(store, key);
        if (bytes === null) break;
        this.#standing = standing(number, decodeFlowControl(bytes, key));
        onChange(this.#standing);
        if (this.#standing.want === "drain") this.#drain.abort();
      }
      this.#warned = "";
    } catch (error) {
      // A store that does not answer for a moment: what was asked before stands until it does.
      if (!isSluiceError(error)) throw error;
      const message = `what is asked of this process cannot be read, so that it goes on as before: ${messageOf(error)}`;
      if (message !== this.#warned) onWarning(message);
      this.#warned = message;
    }
    if (!this.isPaused) this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#wake();
    await this.#watching;
  }
}
