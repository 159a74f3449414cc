/** Weight of the newest loss in the mean: about the last ten count, so that one odd batch stops nothing. */
const NEWEST = 0.1;
/** A loss this many times what guessing costs has left what can still be learnt from. */
const RUNAWAY = 2;

/**
 * Tells a training that runs away from one that jumps: the running mean of its loss leaves twice the larger of its first loss and
 * of what guessing among `classes` costs, or a loss is no finite number.
 */
export class LossWatch {
  readonly #guessing: number;
  #first: number | null = null;
  #mean = 0;

  constructor(classes: number) {
    this.#guessing = Math.log(Math.max(2, classes));
  }

  add(loss: number): void {
    if (this.#first === null) this.#mean = this.#first = loss;
    else this.#mean += NEWEST * (loss - this.#mean);
  }

  /** First loss and running mean, for `restore`. */
  get state(): { readonly first: number | null; readonly mean: number } {
    return { first: this.#first, mean: this.#mean };
  }

  restore({ first, mean }: { readonly first: number | null; readonly mean: number }): void {
    this.#first = first;
    this.#mean = mean;
  }

  /** The running mean; the first loss after one step */
  get mean(): number {
    return this.#mean;
  }

  /** Above this the mean has run away */
  get limit(): number {
    return RUNAWAY * Math.max(this.#guessing, this.#first ?? 0);
  }

  get hasRunAway(): boolean {
    return !(this.#mean <= this.limit);
  }
}
