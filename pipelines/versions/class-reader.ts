interface ClassColumns {
  readonly count: number;
  readonly class: ArrayLike<number>;
  readonly sha256: ArrayLike<string>;
  readonly repeat: ArrayLike<number>;
}

/** Reads an index forwards, a class at a time; what is passed on the way to a class is held until it is asked for. */
export class ClassReader<C extends ClassColumns, T> {
  readonly #groups: AsyncGenerator<C>;
  readonly #make: (columns: C, row: number) => T;
  readonly #held = new Map<number, Map<string, T>>();
  #columns: C | null = null;
  #row = 0;

  /** `make`: what is held of a row */
  constructor(groups: AsyncGenerator<C>, make: (columns: C, row: number) => T) {
    this.#groups = groups;
    this.#make = make;
  }

  /** A class's images by digest, best first, each once; none for null. Throws what reading the index throws. */
  async read(classIndex: number | null): Promise<Map<string, T>> {
    if (classIndex === null) return new Map();
    await this.#readUpTo(classIndex);
    const images = this.#held.get(classIndex) ?? new Map<string, T>();
    this.#held.delete(classIndex);
    return images;
  }

  async close(): Promise<void> {
    await this.#groups.return(undefined);
  }

  async #readUpTo(last: number): Promise<void> {
    for (;;) {
      const columns = this.#columns;
      for (; columns !== null && this.#row < columns.count; this.#row++) {
        const index = columns.class[this.#row]!;
        if (index > last) return;
        let images = this.#held.get(index);
        if (images === undefined) this.#held.set(index, (images = new Map<string, T>()));
        if (columns.repeat[this.#row] === 0) images.set(columns.sha256[this.#row]!, this.#make(columns, this.#row));
      }
      const group = await this.#groups.next();
      if (group.done === true) return;
      this.#columns = group.value;
      this.#row = 0;
    }
  }
}
