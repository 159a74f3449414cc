interface Held<T> {
  readonly weight: number;
  readonly answer: Promise<T>;
}

/** Answers by name, up to a weight in all: those asked for last are held, and one that failed is asked for again. */
export class HeldAnswers<T> {
  readonly #most: number;
  readonly #held = new Map<string, Held<T>>();

  constructor(mostWeight: number) {
    this.#most = mostWeight;
  }

  get(name: string, weight: number, ask: () => Promise<T>): Promise<T> {
    const known = this.#held.get(name);
    this.#held.delete(name);
    const one = known ?? { weight, answer: ask() };
    this.#held.set(name, one);
    if (known === undefined) {
      void this.#forgetFailure(name, one);
      this.#drop(name);
    }
    return one.answer;
  }

  async #forgetFailure(name: string, one: Held<T>): Promise<void> {
    const [{ status }] = await Promise.allSettled([one.answer]);
    if (status === "rejected" && this.#held.get(name) === one) this.#held.delete(name);
  }

  #drop(newest: string): void {
    let weight = [...this.#held.values()].reduce((sum, one) => sum + one.weight, 0);
    for (const [oldest, one] of this.#held) {
      if (weight <= this.#most || oldest === newest) return;
      this.#held.delete(oldest);
      weight -= one.weight;
    }
  }
}
