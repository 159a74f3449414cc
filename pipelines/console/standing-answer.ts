/** Of the time it takes to find an answer, how many times as long it stands: those who ask keep the process busy for a part of its time */
const TIMES = 20;

/** An answer that takes work to find, for many that ask again and again: found once for all of them, and taken to stand for a while. */
export class StandingAnswer<T> {
  readonly #find: () => Promise<T>;
  readonly #leastMs: number;
  readonly #nowMs: () => number;
  #found: Promise<T> | null = null;
  #untilMs = Number.POSITIVE_INFINITY;

  /** `leastMs`: how long it stands at least, ms */
  constructor(find: () => Promise<T>, leastMs: number, nowMs: () => number) {
    this.#find = find;
    this.#leastMs = leastMs;
    this.#nowMs = nowMs;
  }

  /** One that failed is looked for again by the next one who asks. */
  get(): Promise<T> {
    if (this.#found !== null && this.#nowMs() < this.#untilMs) return this.#found;
    const fromMs = this.#nowMs();
    const found = this.#find();
    this.#found = found;
    this.#untilMs = Number.POSITIVE_INFINITY;
    void Promise.allSettled([found]).then(([{ status }]) => {
      if (this.#found !== found) return;
      if (status === "rejected") this.#found = null;
      else this.#untilMs = this.#nowMs() + Math.max(this.#leastMs, TIMES * (this.#nowMs() - fromMs));
    });
    return found;
  }

  /** Something changed here: the next one who asks is told of it. */
  forget(): void {
    this.#found = null;
  }
}
