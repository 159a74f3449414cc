/** The offset at which a reading ends, as far as it is known yet; a promised one may settle while reading goes on. */
export class ReadingEnd {
  #limit = Infinity;
  #failure: { readonly error: unknown } | null = null;
  /** Called when the end becomes known or its promise fails; the reader puts its own here. */
  wake: () => void = () => undefined;

  constructor(until: number | Promise<number> | undefined) {
    if (typeof until === "number") this.#limit = until;
    else if (until !== undefined) {
      until.then(
        (limit) => {
          this.#limit = limit;
          this.wake();
        },
        (error: unknown) => {
          this.#failure = { error };
          this.wake();
        },
      );
    }
  }

  /** Infinity where it is not known (yet). Throws what a promised end was rejected with. */
  get limit(): number {
    if (this.#failure !== null) throw this.#failure.error;
    return this.#limit;
  }
}
