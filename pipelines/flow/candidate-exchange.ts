import type { CandidateBatch } from "../../schemas/candidate-batch.js";

/**
 * Threads that each read a part of a stream and each rank a part of the classes: a candidate goes from the thread that
 * read it to the one that ranks its class, so that together they have one state. Every pair of threads has a ring of
 * slots in shared memory each way; a thread that finds a ring full takes in what it was sent while it waits.
 */

/** Rows of a slot: its columns (38 bytes a row) stay in the second-level cache. */
const SLOT_ROWS = 4096;
/** Slots of a ring: so far may a thread be ahead of another. */
const SLOTS = 4;
const ROW_BYTES = 8 + 8 + 16 + 4 + 2;
/** Words of a slot before its rows: count, round */
const SLOT_HEAD_WORDS = 2;
const SLOT_BYTES = SLOT_ROWS * ROW_BYTES + 4 * SLOT_HEAD_WORDS;
/** Words of a ring before its slots: slots written, slots taken, rounds ended, padding */
const RING_HEAD_WORDS = 4;
const [WRITTEN, TAKEN, ENDED] = [0, 1, 2] as const;

/** What threads exchange through; passed to each of them as it is. */
export interface ExchangeMemory {
  readonly threads: number;
  /** One word a thread, which changes when there is something to look at for it */
  readonly bells: SharedArrayBuffer;
  /** The ring from thread i to thread j at i * threads + j */
  readonly rings: readonly SharedArrayBuffer[];
}

export function exchangeMemory(threads: number): ExchangeMemory {
  const rings = Array.from(
    { length: threads * threads },
    () => new SharedArrayBuffer(4 * RING_HEAD_WORDS + SLOTS * SLOT_BYTES),
  );
  return { threads, bells: new SharedArrayBuffer(4 * threads), rings };
}

/** A thread's end of the exchange. It blocks while it waits, so it is not for a process's main thread. */
export class CandidateExchange {
  readonly #threads: number;
  readonly #index: number;
  readonly #bells: Int32Array;
  /** By thread; null for this one */
  readonly #to: readonly (Ring | null)[];
  readonly #from: readonly Ring[];
  #round = 0;
  #take: (batch: CandidateBatch) => void = () => undefined;

  constructor({ threads, bells, rings }: ExchangeMemory, index: number) {
    this.#threads = threads;
    this.#index = index;
    this.#bells = new Int32Array(bells);
    const others = Array.from({ length: threads }, (_, thread) => thread).filter((thread) => thread !== index);
    this.#to = rings
      .slice(index * threads, (index + 1) * threads)
      .map((ring, to) => (to === index ? null : new Ring(ring)));
    this.#from = others.map((thread) => new Ring(rings[thread * threads + index]!));
  }

  /** Whether this thread ranks a class. */
  owns(classIndex: number): boolean {
    return classIndex % this.#threads === this.#index;
  }

  /**
   * Begins a round, which ends with `end`: `take` is given candidates of this thread's classes, of `give` and of others,
   * valid until it returns.
   */
  begin(take: (batch: CandidateBatch) => void): void {
    this.#take = take;
    this.#round++;
  }

  /** Sends candidates to the threads that rank their classes. The batch's columns are written over. */
  give(batch: CandidateBatch): void {
    const { classes, count } = batch;
    const threads = this.#threads;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const to = this.#to[classes[i]! % threads] ?? null;
      if (to === null) {
        if (kept !== i) copyRow(batch, i, batch, kept);
        kept++;
        continue;
      }
      copyRow(batch, i, to.slot, to.count++);
      if (to.count === SLOT_ROWS) this.#send(to, classes[i]! % threads);
    }
    if (kept > 0) this.#take({ ...batch, count: kept });
    this.takeSent();
  }

  /** Takes in what other threads have sent so far. Returns whether there was anything. */
  takeSent(): boolean {
    let any = false;
    this.#from.forEach((ring, at) => {
      for (let batch = ring.next(this.#round); batch !== null; batch = ring.next(this.#round)) {
        this.#take(batch);
        ring.taken();
        this.#ring(at < this.#index ? at : at + 1);
        any = true;
      }
    });
    return any;
  }

  /** Sends what is left and takes in until all threads have ended the round. */
  end(): void {
    this.#to.forEach((ring, thread) => {
      if (ring === null) return;
      if (ring.count > 0) this.#send(ring, thread);
      ring.ended();
      this.#ring(thread);
    });
    this.#takeUntil(() => this.#from.every((ring) => ring.hasEnded(this.#round)));
    this.takeSent();
  }

  #send(ring: Ring, thread: number): void {
    ring.send(this.#round);
    this.#ring(thread);
    this.#takeUntil(() => ring.hasRoom());
  }

  #takeUntil(isDone: () => boolean): void {
    for (;;) {
      const heard = Atomics.load(this.#bells, this.#index);
      if (isDone()) return;
      if (!this.takeSent()) Atomics.wait(this.#bells, this.#index, heard);
    }
  }

  #ring(thread: number): void {
    Atomics.add(this.#bells, thread, 1);
    Atomics.notify(this.#bells, thread);
  }
}

interface Slot extends CandidateBatch {
  readonly head: Int32Array;
}

/** Slots from one thread to another. */
class Ring {
  readonly #head: Int32Array;
  readonly #slots: readonly Slot[];
  /** The slot that is being filled, and its rows so far */
  slot: Slot;
  count = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#head = new Int32Array(memory, 0, RING_HEAD_WORDS);
    this.#slots = Array.from({ length: SLOTS }, (_, slot) => slotAt(memory, 4 * RING_HEAD_WORDS + slot * SLOT_BYTES));
    this.slot = this.#slots[0]!;
  }

  /** The sender must have waited for room. */
  send(round: number): void {
    this.slot.head[0] = this.count;
    this.slot.head[1] = round;
    const written = Atomics.add(this.#head, WRITTEN, 1) + 1;
    this.slot = this.#slots[written % SLOTS]!;
    this.count = 0;
  }

  hasRoom(): boolean {
    return Atomics.load(this.#head, WRITTEN) - Atomics.load(this.#head, TAKEN) < SLOTS;
  }

  /** The next batch of a round; null where there is none yet. `taken` must follow. */
  next(round: number): CandidateBatch | null {
    const taken = Atomics.load(this.#head, TAKEN);
    if (Atomics.load(this.#head, WRITTEN) === taken) return null;
    const slot = this.#slots[taken % SLOTS]!;
    return slot.head[1] === round ? { ...slot, count: slot.head[0]! } : null;
  }

  taken(): void {
    Atomics.add(this.#head, TAKEN, 1);
  }

  ended(): void {
    Atomics.add(this.#head, ENDED, 1);
  }

  hasEnded(round: number): boolean {
    return Atomics.load(this.#head, ENDED) >= round;
  }
}

function slotAt(memory: SharedArrayBuffer, start: number): Slot {
  let at = start + 4 * SLOT_HEAD_WORDS;
  const place = (bytes: number): number => (at += bytes) - bytes;
  return {
    head: new Int32Array(memory, start, SLOT_HEAD_WORDS),
    count: 0,
    keys: new Float64Array(memory, place(8 * SLOT_ROWS), SLOT_ROWS),
    offset: new Float64Array(memory, place(8 * SLOT_ROWS), SLOT_ROWS),
    identity: new Uint32Array(memory, place(16 * SLOT_ROWS), 4 * SLOT_ROWS),
    classes: new Int32Array(memory, place(4 * SLOT_ROWS), SLOT_ROWS),
    partition: new Uint16Array(memory, place(2 * SLOT_ROWS), SLOT_ROWS),
  };
}

function copyRow(from: CandidateBatch, row: number, to: CandidateBatch, at: number): void {
  to.classes[at] = from.classes[row]!;
  to.keys[at] = from.keys[row]!;
  to.offset[at] = from.offset[row]!;
  to.partition[at] = from.partition[row]!;
  to.identity[4 * at] = from.identity[4 * row]!;
  to.identity[4 * at + 1] = from.identity[4 * row + 1]!;
  to.identity[4 * at + 2] = from.identity[4 * row + 2]!;
  to.identity[4 * at + 3] = from.identity[4 * row + 3]!;
}
