import { awaitedLater } from "../../schemas/errors.js";

/**
 * The few steps that every graph is made of, over async iterables. They are pulled: a step does no more than what is
 * asked of it plus its stated bound, so backpressure is the absence of a pull. Closing a flow early closes its source.
 */

/**
 * Runs `task` on up to `concurrency` items at once and yields the results in the order of the items.
 * `admit`, where given, is awaited before the next item is started: a bound in bytes, say.
 */
export async function* mapOrdered<In, Made>(
  source: AsyncIterable<In>,
  concurrency: number,
  task: (item: In) => Promise<Made>,
  admit?: () => Promise<void>,
): AsyncGenerator<Made, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const running: Promise<Made>[] = [];
  let pending: Promise<IteratorResult<In>> | undefined;
  let admitted: Promise<void> | undefined;
  let ended = false;
  try {
    while (!ended || running.length > 0) {
      if (!ended && running.length < concurrency) {
        if (admit !== undefined && pending === undefined) {
          admitted ??= admit();
          // What is done must go on meanwhile: it may be what holds the room that is waited for.
          const oldest = running[0];
          const room = await Promise.race(oldest === undefined ? [admitted] : [admitted, settled(oldest)]);
          if (room === SETTLED) {
            yield await running.shift()!;
            continue;
          }
          admitted = undefined;
        }
        pending ??= iterator.next();
        // The oldest result may be ready before the source has another item: it must not wait for it.
        const next = running.length === 0 ? await pending : await Promise.race([pending, settled(running[0]!)]);
        if (next === SETTLED) {
          yield await running.shift()!;
          continue;
        }
        pending = undefined;
        if (next.done === true) {
          ended = true;
        } else {
          running.push(awaitedLater(task(next.value)));
        }
        continue;
      }
      yield await running.shift()!;
    }
  } finally {
    if (!ended) await close(iterator, pending);
    await Promise.allSettled(running);
  }
}

const SETTLED = Symbol("settled");

async function settled(promise: Promise<unknown>): Promise<typeof SETTLED> {
  await Promise.allSettled([promise]);
  return SETTLED;
}

/**
 * Tells the source that nobody will pull again. A generator's `return` waits for a `next` under way, and that may wait
 * for records that never come: then it is not waited for.
 */
async function close<T>(iterator: AsyncIterator<T>, pending: Promise<IteratorResult<T>> | undefined): Promise<void> {
  const closed = iterator.return?.();
  if (pending === undefined) {
    await closed;
  } else {
    // Nobody awaits them any more.
    void Promise.allSettled([pending, closed]);
  }
}

export interface BatchOptions<T> {
  /** Greatest total weight of a batch */
  readonly max: number;
  /** A batch is given out this long after its first item, full or not */
  readonly maxDelayMs: number;
  /** What an item counts for; 1 by default. Items of no weight travel along, at most `maxItems` of all kinds. */
  readonly weight?: (item: T) => number;
  readonly maxItems?: number;
  /** The first batch after a pause: one whose first item comes when none was given out for `maxDelayMs`. */
  readonly afterPause?: { readonly maxDelayMs: number; readonly nowMs: () => number };
}

/** Groups items in order, by size or by time, whichever comes first. */
export async function* batches<T>(
  source: AsyncIterable<T>,
  options: BatchOptions<T>,
): AsyncGenerator<T[], void, undefined> {
  const { max, maxDelayMs, weight = () => 1, maxItems = Number.POSITIVE_INFINITY, afterPause } = options;
  let givenMs = Number.NEGATIVE_INFINITY;
  const delayMs = (): number => {
    if (afterPause === undefined || afterPause.nowMs() - givenMs < maxDelayMs) return maxDelayMs;
    return Math.min(maxDelayMs, afterPause.maxDelayMs);
  };
  const iterator = source[Symbol.asyncIterator]();
  let pending: Promise<IteratorResult<T>> | undefined;
  let ended = false;
  try {
    while (!ended) {
      const batch: T[] = [];
      let total = 0;
      let timer: NodeJS.Timeout | undefined;
      let expired: Promise<typeof SETTLED> | undefined;
      try {
        while (total < max && batch.length < maxItems) {
          pending ??= iterator.next();
          const next = expired === undefined ? await pending : await Promise.race([pending, expired]);
          if (next === SETTLED) break;
          pending = undefined;
          if (next.done === true) {
            ended = true;
            break;
          }
          batch.push(next.value);
          total += weight(next.value);
          expired ??= new Promise((resolve) => {
            timer = setTimeout(() => {
              resolve(SETTLED);
            }, delayMs());
          });
        }
      } finally {
        clearTimeout(timer);
      }
      if (batch.length === 0) continue;
      if (afterPause !== undefined) givenMs = afterPause.nowMs();
      yield batch;
    }
  } finally {
    if (!ended) await close(iterator, pending);
  }
}

/** Runs ahead of its consumer by up to `ahead` items. */
export async function* prefetch<T>(source: AsyncIterable<T>, ahead: number): AsyncGenerator<T, void, undefined> {
  yield* mapOrdered(source, ahead, (item) => Promise.resolve(item));
}

/** A bound on bytes in flight. What is admitted may overshoot by the items admitted at one moment, never deadlock. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;
  #waiting: (() => void)[] = [];
  #waitedMs = 0;
  readonly #nowMs: () => number;

  constructor(maxBytes: number, nowMs: () => number = Date.now) {
    this.#max = maxBytes;
    this.#nowMs = nowMs;
  }

  get maxBytes(): number {
    return this.#max;
  }

  /** How long there was no room while somebody waited for it, ms */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** Settles when there is room. Items are admitted in order, so the oldest one never waits for a younger one. */
  async admit(): Promise<void> {
    while (this.#used >= this.#max) {
      const isFirst = this.#waiting.length === 0;
      const beganMs = this.#nowMs();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
      if (isFirst) this.#waitedMs += this.#nowMs() - beganMs;
    }
  }

  take(sizeBytes: number): void {
    this.#used += sizeBytes;
  }

  release(sizeBytes: number): void {
    this.#used -= sizeBytes;
    if (this.#used < this.#max) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const resolve of waiting) resolve();
    }
  }
}

/** One flow's share of a budget. What it still holds when it ends goes back, so that a flow that fails holds up no other. */
export class BudgetShare {
  readonly #budget: ByteBudget;
  #heldBytes = 0;
  #ended = false;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  admit(): Promise<void> {
    return this.#budget.admit();
  }

  take(sizeBytes: number): void {
    if (this.#ended) return;
    this.#heldBytes += sizeBytes;
    this.#budget.take(sizeBytes);
  }

  release(sizeBytes: number): void {
    if (this.#ended) return;
    this.#heldBytes -= sizeBytes;
    this.#budget.release(sizeBytes);
  }

  end(): void {
    this.release(this.#heldBytes);
    this.#ended = true;
  }
}
