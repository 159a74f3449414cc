import { awaitedLater } from "../../schemas/errors.js";

/** Work that runs at once. The first that fails ends the rest: none must wait for what another will never give. */
export class Together {
  /** Aborts where the caller's signal does, or where one of the works has failed */
  readonly signal: AbortSignal;
  readonly #failure = new AbortController();
  readonly #works: Promise<unknown>[] = [];

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.#failure.signal]);
  }

  /** Its failure is thrown by `ended`, whether or not its result is awaited. */
  begin<T>(work: Promise<T>): Promise<T> {
    void work.then(null, (error: unknown) => {
      this.fail(error);
    });
    this.#works.push(work);
    return awaitedLater(work);
  }

  /** Ends all of it for a reason from outside. */
  fail(error: unknown): void {
    this.#failure.abort(error);
  }

  /** Waits until all has ended. Throws what failed first. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#works);
    if (this.#failure.signal.aborted) throw this.#failure.signal.reason;
  }
}
