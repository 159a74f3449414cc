/** Hands each named thing to one holder at a time, in the order asked. */
export class Turns {
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Returns what gives the turn back, or null where `signal` aborts before the turn comes. */
  async take(name: string, signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    const queue = this.#waiting.get(name);
    if (queue === undefined) {
      this.#waiting.set(name, []);
      return this.#giver(name);
    }
    return new Promise((resolve) => {
      const come = (): void => {
        signal.removeEventListener("abort", leave);
        resolve(this.#giver(name));
      };
      const leave = (): void => {
        queue.splice(queue.indexOf(come), 1);
        resolve(null);
      };
      queue.push(come);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #giver(name: string): () => void {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.#waiting.get(name)?.shift();
      if (next === undefined) this.#waiting.delete(name);
      else next();
    };
  }
}
