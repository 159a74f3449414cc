/**
 * Thresholds that several threads know, each of its own classes the newest: rounded down to 32 bits, which no reader sees
 * half written. What a reader has is at most as high as it should be, so that it leaves out nothing that counts.
 */
export class SharedThresholds {
  readonly #bits: Int32Array;
  readonly #float = new Float32Array(1);
  readonly #asBits = new Int32Array(this.#float.buffer);

  /** Memory for `classes` thresholds, all of them -Infinity */
  static memory(classes: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(4 * classes);
    new Float32Array(memory).fill(Number.NEGATIVE_INFINITY);
    return memory;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#bits = new Int32Array(memory);
  }

  /** Tells the others of the thresholds of these classes. */
  publish(thresholds: Float64Array, classes: readonly number[]): void {
    for (const index of classes) {
      this.#float[0] = thresholds[index]!;
      // The nearest 32 bits may lie above: the next ones below are one step away, which for negative numbers is up.
      if (this.#float[0] > thresholds[index]!) this.#asBits[0] = this.#asBits[0]! + (this.#float[0] > 0 ? -1 : 1);
      Atomics.store(this.#bits, index, this.#asBits[0]!);
    }
  }

  read(into: Float64Array): void {
    for (let index = 0; index < into.length; index++) {
      this.#asBits[0] = Atomics.load(this.#bits, index);
      into[index] = this.#float[0]!;
    }
  }
}
