/** How fast a count grows, seen over the last few seconds. */
export class Rate {
  readonly #windowMs: number;
  #samples: { atMs: number; value: number }[] = [];

  /** `windowMs`: how far back the rate looks. Longer is steadier, and slower to notice a change. */
  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  observe(value: number, atMs: number): void {
    this.#samples.push({ value, atMs });
    // One sample at or beyond the window's edge stays, so that the window is always spanned.
    const keepFrom = this.#samples.findLastIndex((sample) => sample.atMs <= atMs - this.#windowMs);
    if (keepFrom > 0) this.#samples = this.#samples.slice(keepFrom);
    // Callers may report thousands of times a second; the window needs no more than a few hundred points.
    if (this.#samples.length > 400) this.#samples = this.#samples.filter((_, at) => at % 2 === 0 || at > 380);
  }

  /** Items a second, as of `nowMs`; null before two observations. A standstill lets it fall. */
  perSecond(nowMs: number): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || this.#samples.length < 2) return null;
    const spanMs = Math.max(nowMs, last.atMs) - first.atMs;
    return spanMs <= 0 ? null : ((last.value - first.value) * 1000) / spanMs;
  }

  /** Until `total` is reached, ms; null where nobody can tell. */
  remainingMs(total: number | null, nowMs: number): number | null {
    const rate = this.perSecond(nowMs);
    const done = this.#samples.at(-1)?.value;
    if (total === null || done === undefined || rate === null || rate <= 0) return null;
    return (Math.max(0, total - done) / rate) * 1000;
  }
}
