import { performance } from "node:perf_hooks";
import type { Assignment } from "../../connectors/log/log.js";
import { sleepUntil } from "./sleep-until.js";

export interface Pace {
  /** Records a second at most, of all that share the pace; absent: as fast as they are scored */
  readonly perS?: number | undefined;
  /** Settles when reading may go on, or `signal` aborts */
  readonly clear?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/** Batches are small where reading may have to wait: what has been read is scored all the same. */
const AT_ONCE = 64;

/** Holds reading back, for several readers of one process. */
export class PacedRead {
  readonly #pace: Pace;
  /** When the next record may be read, as `performance.now` counts */
  #nextMs = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** The same as reading from `assignment`, in its time; it ends early where the assignment is taken away. */
  of(assignment: Assignment): Assignment["read"] {
    const { perS, clear } = this.#pace;
    if (perS === undefined && clear === undefined) return (offset, options) => assignment.read(offset, options);
    const most = Math.max(1, Math.min(AT_ONCE, Math.floor((perS ?? Infinity) / 5)));
    const wait = this.#wait.bind(this);
    return async function* (offset, options) {
      const maxRecords = Math.min(options.maxRecords, most);
      for await (const batch of assignment.read(offset, { ...options, maxRecords })) {
        await clear?.(assignment.signal);
        await wait(batch.records.length, assignment.signal);
        if (assignment.signal.aborted) return;
        yield batch;
      }
    };
  }

  async #wait(records: number, signal: AbortSignal): Promise<void> {
    const { perS } = this.#pace;
    if (perS === undefined) return;
    const now = performance.now();
    const turnMs = Math.max(now, this.#nextMs);
    this.#nextMs = turnMs + (records * 1000) / perS;
    if (turnMs > now) await sleepUntil(turnMs - now, signal);
  }
}
