import type { Store } from "../../connectors/store/store.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { isSluiceError } from "../../schemas/errors.js";
import { keys, type ChainName } from "../../schemas/keys.js";
import type { PlannedChain } from "../replay-plan.js";
import { sleepUntil } from "../flow/sleep-until.js";

/** Knows how far a replay's chains have come. Its own process tells it; what other processes have scored it sees in the archive. */
export class ReplayTracker {
  readonly #readers = new Map<string, ChainReader>();
  readonly #chains: readonly PlannedChain[];
  readonly #ends = new Map<string, number>();
  readonly #finished = new AbortController();
  readonly #onChange: () => void;

  constructor(store: Store, chains: readonly PlannedChain[], onChange: () => void) {
    for (const { chain } of chains) this.#readers.set(keys.chain(chain), new ChainReader(store, chain));
    this.#chains = chains;
    this.#onChange = onChange;
    for (const { chain, position } of chains) this.#ends.set(keys.chain(chain), position);
  }

  /** Offsets, of all chains */
  get total(): number {
    return this.#chains.reduce((sum, { chain, end }) => sum + end - chain.origin, 0);
  }

  get left(): number {
    return this.#chains.reduce((sum, { chain, end }) => sum + Math.max(0, end - this.#ends.get(keys.chain(chain))!), 0);
  }

  /** Aborts when every chain has come to its end. */
  get finished(): AbortSignal {
    return this.#finished.signal;
  }

  note(chain: ChainName, end: number): void {
    const key = keys.chain(chain);
    if (end <= (this.#ends.get(key) ?? Number.POSITIVE_INFINITY)) return;
    this.#ends.set(key, end);
    this.#onChange();
    if (this.left === 0) this.#finished.abort();
  }

  /** Looks at the archive again and again, until all is done or `signal` aborts. */
  async watch(everyMs: number, signal: AbortSignal): Promise<void> {
    if (this.left === 0) this.#finished.abort();
    const ended = AbortSignal.any([signal, this.finished]);
    while (!ended.aborted) {
      try {
        for (const { chain, end } of this.#chains) {
          const known = this.#ends.get(keys.chain(chain))!;
          const reader = this.#readers.get(keys.chain(chain))!;
          if (known >= end || !(await reader.isBeyond(known))) continue;
          this.note(chain, await reader.end(known));
        }
      } catch (error) {
        if (isAborted(signal)) return;
        if (!isSluiceError(error) || !error.retryable) throw error;
      }
      await sleepUntil(everyMs, ended);
    }
  }
}

/** It may abort at any `await`. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
