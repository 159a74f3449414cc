/**
 * Counts distinct images by the first 128 bits of their digests (what top-K takes for identity too). 16 bytes an image
 * and at most twice that in slots: 256 tables by the digest's first byte, so that growing never copies more than one.
 */
export class DigestSet {
  readonly #tables: Table[] = Array.from({ length: 256 }, () => new Table());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds the digest of 32 bytes at `at`; whether it is new. */
  add(digests: Uint8Array, at: number): boolean {
    const added = this.#tables[digests[at]!]!.add(
      wordAt(digests, at),
      wordAt(digests, at + 4),
      wordAt(digests, at + 8),
      wordAt(digests, at + 12),
    );
    if (added) this.#size++;
    return added;
  }

  /** Whether the digest at `at` has been added. */
  has(digests: Uint8Array, at: number): boolean {
    return this.#tables[digests[at]!]!.has(
      wordAt(digests, at),
      wordAt(digests, at + 4),
      wordAt(digests, at + 8),
      wordAt(digests, at + 12),
    );
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Open addressing over four words a slot; an all-zero slot is empty. */
class Table {
  #slots = new Int32Array(4 * 16);
  #count = 0;
  #zero = false;

  add(a: number, b: number, c: number, d: number): boolean {
    if ((a | b | c | d) === 0) {
      const isNew = !this.#zero;
      this.#zero = true;
      return isNew;
    }
    if (!this.#insert(a, b, c, d)) return false;
    this.#count++;
    // Grown by half at 3/4 full: between 1/2 and 3/4 of the slots are in use.
    if (this.#count * 16 > this.#slots.length * 3) this.#grow();
    return true;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    if ((a | b | c | d) === 0) return this.#zero;
    const slots = this.#slots;
    const length = slots.length;
    for (let at = ((b >>> 0) % (length >>> 2)) * 4; ; at = at + 4 === length ? 0 : at + 4) {
      const first = slots[at]!;
      if (first === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return true;
      if ((first | slots[at + 1]! | slots[at + 2]! | slots[at + 3]!) === 0) return false;
    }
  }

  #insert(a: number, b: number, c: number, d: number): boolean {
    const slots = this.#slots;
    const length = slots.length;
    // `a` begins with the byte that chose the table; `b` is as random as a digest is.
    for (let at = ((b >>> 0) % (length >>> 2)) * 4; ; at = at + 4 === length ? 0 : at + 4) {
      const first = slots[at]!;
      if (first === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return false;
      if ((first | slots[at + 1]! | slots[at + 2]! | slots[at + 3]!) === 0) {
        slots[at] = a;
        slots[at + 1] = b;
        slots[at + 2] = c;
        slots[at + 3] = d;
        return true;
      }
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(Math.ceil(old.length / 8) * 12);
    for (let at = 0; at < old.length; at += 4) {
      if ((old[at]! | old[at + 1]! | old[at + 2]! | old[at + 3]!) !== 0) {
        this.#insert(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
      }
    }
  }
}
