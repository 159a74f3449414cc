/** Lets readers sleep until something named happens. */
export class WakeUps {
  readonly #sleepers = new Map<string, Set<() => void>>();

  /**
   * Settles at the next `wake(name)` or `wakeAll()`, or when `signal` aborts; never in the same turn of the event loop.
   * `interrupt` gets what wakes this one sleeper.
   */
  async sleep(name: string, signal: AbortSignal, interrupt: (wake: () => void) => void): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const sleepers = this.#sleepers.get(name) ?? new Set();
      this.#sleepers.set(name, sleepers);
      const wake = (): void => {
        sleepers.delete(wake);
        if (sleepers.size === 0 && this.#sleepers.get(name) === sleepers) this.#sleepers.delete(name);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      sleepers.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      interrupt(wake);
    });
  }

  wake(name: string): void {
    for (const wake of [...(this.#sleepers.get(name) ?? [])]) wake();
  }

  wakeAll(): void {
    for (const name of [...this.#sleepers.keys()]) this.wake(name);
  }
}
