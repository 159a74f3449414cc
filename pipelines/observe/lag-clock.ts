/** Ends remembered a partition: at one look a second some minutes in full, beyond that every second one is dropped. */
const KEPT = 512;

/**
 * How long the first record that is not archived has waited, as far as the looks at the log's end tell. Event times say nothing
 * of it: photographs may be years old when they come.
 */
export class LagClock {
  /** When an end was first seen, ascending in both */
  #seen: { readonly atMs: number; readonly end: number }[] = [];

  /** The log ended at `end`. */
  look(end: number, atMs: number): void {
    const last = this.#seen.at(-1);
    if (last !== undefined && end < last.end) this.#seen = [];
    else if (last?.end === end) return;
    this.#seen.push({ atMs, end });
    // The first and the last stay; what is dropped makes the answer later by one look, never earlier.
    if (this.#seen.length > KEPT) this.#seen = this.#seen.filter((_, at, all) => at % 2 === 0 || at === all.length - 1);
  }

  /** 0 where everything seen so far is archived; seconds */
  behindS(archived: number, nowMs: number): number {
    while (this.#seen.length > 0 && this.#seen[0]!.end <= archived) this.#seen.shift();
    const [first] = this.#seen;
    return first === undefined ? 0 : Math.max(0, (nowMs - first.atMs) / 1000);
  }
}
