/** Runs work one after the other, in the order in which it was given; of each name its own, where names are given. */
export class InTurn {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Waits for all that was given until now. */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values());
  }

  /** What `work` gives, or fails with. The next one runs whichever it was. */
  async run<T>(work: () => Promise<T>, name = ""): Promise<T> {
    const mine = (this.#last.get(name) ?? Promise.resolve()).then(work);
    const ended = Promise.allSettled([mine]);
    this.#last.set(name, ended);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === ended) this.#last.delete(name);
    }
  }
}
