/** Bytes that requests may have in hand together. */
export class Budget {
  readonly #maxBytes: number;
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What gives them back; null where they would be too many. One request alone may have any number. */
  take(sizeBytes: number): (() => void) | null {
    if (this.#heldBytes > 0 && this.#heldBytes + sizeBytes > this.#maxBytes) return null;
    this.#heldBytes += sizeBytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#heldBytes -= sizeBytes;
      isHeld = false;
    };
  }
}
