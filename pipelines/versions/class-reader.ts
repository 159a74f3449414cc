interface ClassColumns {
  readonly count: number;
  readonly class: ArrayLike<number>;
  readonly sha256: ArrayLike<string>;
  readonly rank: ArrayLike<number>;
  readonly repeat: ArrayLike<number>;
}

/** Places that are looked at for an image before it counts as one that has moved far, or is new */
const AHEAD = 8;

/** The images of one class, best first, each once: as columns, of which a row is made when it is asked for. */
export class ClassImages<C extends ClassColumns, T> {
  /** Their digests, by place from 0 */
  readonly digests: string[] = [];
  readonly #make: (columns: C, row: number) => T;
  /** Row groups in which the class lies, and at which place and row it begins there */
  readonly #parts: { readonly columns: C; readonly first: number; readonly rows: number[] }[] = [];

  constructor(make: (columns: C, row: number) => T) {
    this.#make = make;
  }

  get count(): number {
    return this.digests.length;
  }

  at(place: number): T {
    const { columns, row } = this.#placed(place);
    return this.#make(columns, row);
  }

  rankAt(place: number): number {
    const { columns, row } = this.#placed(place);
    return columns.rank[row]!;
  }

  /**
   * The place that each of other images has here; -1 for those that are not here. Most keep their order between two versions: what is not found
   * a few places on is looked for, in the end, among those alone that were not found either.
   */
  placesOf({ digests }: ClassImages<C, T>): Int32Array {
    const own = this.digests;
    const places = new Int32Array(digests.length).fill(-1);
    const isFound = new Uint8Array(own.length);
    const missing: number[] = [];
    let next = 0;
    for (let other = 0; other < digests.length; other++) {
      const digest = digests[other]!;
      const end = Math.min(own.length, next + AHEAD);
      let place = next;
      while (place < end && own[place] !== digest) place++;
      if (place === end) missing.push(other);
      else {
        places[other] = place;
        isFound[place] = 1;
        next = place + 1;
      }
    }
    const left = new Map<string, number>();
    for (let place = 0; place < own.length; place++) if (isFound[place] === 0) left.set(own[place]!, place);
    for (const other of missing) places[other] = left.get(digests[other]!) ?? -1;
    return places;
  }

  #placed(place: number): { readonly columns: C; readonly row: number } {
    const part = this.#parts.findLast(({ first }) => first <= place)!;
    return { columns: part.columns, row: part.rows[place - part.first]! };
  }

  take(columns: C, row: number): void {
    if (columns.repeat[row] !== 0) return;
    let part = this.#parts.at(-1);
    if (part?.columns !== columns) this.#parts.push((part = { columns, first: this.count, rows: [] }));
    part.rows.push(row);
    this.digests.push(columns.sha256[row]!);
  }
}

/** Reads an index forwards, a class at a time; what is passed on the way to a class is held until it is asked for. */
export class ClassReader<C extends ClassColumns, T> {
  readonly #groups: AsyncGenerator<C>;
  readonly #make: (columns: C, row: number) => T;
  readonly #held = new Map<number, ClassImages<C, T>>();
  #columns: C | null = null;
  #row = 0;

  /** `make`: what a row is given as */
  constructor(groups: AsyncGenerator<C>, make: (columns: C, row: number) => T) {
    this.#groups = groups;
    this.#make = make;
  }

  /** A class's images; none for null. Throws what reading the index throws. */
  async read(classIndex: number | null): Promise<ClassImages<C, T>> {
    if (classIndex === null) return new ClassImages(this.#make);
    await this.#readUpTo(classIndex);
    const images = this.#held.get(classIndex) ?? new ClassImages(this.#make);
    this.#held.delete(classIndex);
    return images;
  }

  async close(): Promise<void> {
    await this.#groups.return(undefined);
  }

  async #readUpTo(last: number): Promise<void> {
    for (;;) {
      const columns = this.#columns;
      for (; columns !== null && this.#row < columns.count;) {
        const index = columns.class[this.#row]!;
        if (index > last) return;
        let images = this.#held.get(index);
        if (images === undefined) this.#held.set(index, (images = new ClassImages(this.#make)));
        for (; this.#row < columns.count && columns.class[this.#row] === index; this.#row++)
          images.take(columns, this.#row);
      }
      const group = await this.#groups.next();
      if (group.done === true) return;
      this.#columns = group.value;
      this.#row = 0;
    }
  }
}
