/** Bytes that one image has in hand. */
export interface Room {
  /** What is left of them is given back */
  shrink(sizeBytes: number): void;
  /** All of them, once */
  giveBack(): void;
}

interface Waiting {
  readonly sizeBytes: number;
  readonly give: (room: Room) => void;
}

/** For how long after a refusal somebody is taken to want room still, ms */
const WANTED_MS = 10_000;

/** Bytes that requests may have in hand together. Those who wait for room get it in the order in which they asked. */
export class Budget {
  readonly #maxBytes: number;
  readonly #nowMs: () => number;
  readonly #waiting: Waiting[] = [];
  #heldBytes = 0;
  #refusedMs = Number.NEGATIVE_INFINITY;

  constructor(maxBytes: number, nowMs: () => number) {
    this.#maxBytes = maxBytes;
    this.#nowMs = nowMs;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether others wait for room, or were refused it a moment ago. */
  get isWanted(): boolean {
    return this.#waiting.length > 0 || this.#nowMs() - this.#refusedMs < WANTED_MS;
  }

  /** null where there is none now, or others wait for it. One image alone may have any number. */
  take(sizeBytes: number): Room | null {
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) return this.#room(sizeBytes);
    this.#refusedMs = this.#nowMs();
    return null;
  }

  /** Waits until there is room. */
  async wait(sizeBytes: number): Promise<Room> {
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) return this.#room(sizeBytes);
    return new Promise((give) => this.#waiting.push({ sizeBytes, give }));
  }

  #fits(sizeBytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + sizeBytes <= this.#maxBytes;
  }

  #room(sizeBytes: number): Room {
    let held = sizeBytes;
    this.#heldBytes += held;
    const shrink = (to: number): void => {
      const less = Math.max(0, held - to);
      held -= less;
      this.#heldBytes -= less;
      this.#giveNext();
    };
    return {
      shrink,
      giveBack: () => {
        shrink(0);
      },
    };
  }

  #giveNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.sizeBytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.give(this.#room(next.sizeBytes));
    }
  }
}
