import type { QuarantineCounts } from "../../schemas/run.js";
import type { SegmentHeader } from "../../schemas/segment.js";

type Taking = Pick<SegmentHeader, "rejected" | "retried">;

/** Gives the headers of a chain over [from, until), in order. */
export type HeadersOver = (from: number, until: number) => AsyncIterable<Taking>;

/**
 * Counts what of one chain is in quarantine: from what was said of it at one of its boundaries, and from the headers behind. The records below
 * are read only where one of them was taken up again since.
 */
export class QuarantineTally {
  readonly #origin: number;
  readonly #start: number;
  readonly #before: QuarantineCounts;
  readonly #headers: HeadersOver;
  /** Codes of the records refused from `start` on, by offset */
  readonly #open = new Map<number, string>();
  /** Records below `start` that were taken up again */
  readonly #taken = new Set<number>();
  #others = 0;

  /** `before` counts the records below `start`, a boundary. `headers` gives those of the chain, wherever its boundaries are. */
  constructor(
    { origin, start, before }: { readonly origin: number; readonly start: number; readonly before: QuarantineCounts },
    headers: HeadersOver,
  ) {
    this.#origin = origin;
    this.#start = start;
    this.#before = before;
    this.#headers = headers;
  }

  take({ rejected, retried }: Taking): void {
    for (const { offset, code, retryOf } of rejected) {
      if (retryOf !== null) this.#close(retryOf);
      this.#open.set(offset, code);
    }
    for (const offset of retried) this.#close(offset);
  }

  #close(offset: number): void {
    if (offset < this.#origin) this.#others++;
    else if (offset < this.#start) this.#taken.add(offset);
    else this.#open.delete(offset);
  }

  async counts(): Promise<QuarantineCounts> {
    const open = new Map(Object.entries(this.#before.open));
    const add = (code: string, count: number): void => {
      open.set(code, (open.get(code) ?? 0) + count);
    };
    for (const code of this.#open.values()) add(code, 1);
    for (const code of (await this.#stillOpen()).values()) add(code, -1);
    const left = [...open].filter(([, count]) => count !== 0);
    return { open: Object.fromEntries(left), others: this.#before.others + this.#others };
  }

  /** Of the records below `start` that were taken up again since, those that had not been before. */
  async #stillOpen(): Promise<ReadonlyMap<number, string>> {
    const open = new Map<number, string>();
    if (this.#taken.size === 0) return open;
    const first = [...this.#taken].reduce((least, offset) => Math.min(least, offset));
    for await (const { rejected, retried } of this.#headers(first, this.#start)) {
      for (const { offset, code, retryOf } of rejected) {
        if (retryOf !== null) open.delete(retryOf);
        if (this.#taken.has(offset)) open.set(offset, code);
      }
      for (const offset of retried) open.delete(offset);
    }
    return open;
  }
}

export const NOTHING_QUARANTINED: QuarantineCounts = { open: {}, others: 0 };
