/**
 * Numbers that look random and are the same for the same seed, on every machine (sfc32: 32-bit integer arithmetic only).
 * Source: Chris Doty-Humphrey, PractRand.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | null = null;

  /** `purpose` separates the streams that one seed gives to different uses. */
  constructor(seed: number, purpose = "") {
    let hash = 0x811c9dc5;
    for (const letter of purpose) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193);
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = hash >>> 0;
    // sfc32 mixes its whole state in 12 rounds; before that, near seeds give near numbers.
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** Where the numbers are, for `restore`; between two calls of `normal` it may lack the second one's number. */
  get state(): readonly number[] {
    return [this.#a, this.#b, this.#c, this.#counter];
  }

  /** Goes on from where another one's `state` was taken. */
  restore([a = 0, b = 0, c = 0, counter = 0]: readonly number[]): void {
    [this.#a, this.#b, this.#c, this.#counter] = [a, b, c, counter];
    this.#spare = null;
  }

  /** Uniform over [0, 2^32), whole numbers. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform over [0, 1), multiples of 2^-32. */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform over [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Uniform over the whole numbers [0, end). `end` is at most 2^32. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** Standard normal (Box-Muller). Its last bits depend on the platform's logarithm and cosine. */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** One of `choices`, all equally likely. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** Shuffles in place (Fisher-Yates) and returns its argument. */
  shuffle<T extends Int32Array | unknown[]>(items: T): T {
    for (let end = items.length; end > 1; end--) {
      const at = this.below(end);
      const moved = items[at]!;
      items[at] = items[end - 1]!;
      items[end - 1] = moved;
    }
    return items;
  }
}
