import type { PassedOver, PassedOverReason, SourceAccount } from "../../schemas/source-account.js";

/** More extensions than this are no extensions, but parts of names. */
const MOST_EXTENSIONS = 20;

/** Counts what a source has and what becomes of it, for one pass. */
export class Account {
  #given = 0;
  #taken = 0;
  #known = 0;
  readonly #passedOver = new Map<PassedOverReason, { count: number; first: string; extensions: Map<string, number> }>();

  /** A pass begins. */
  clear(): void {
    this.#given = 0;
    this.#taken = 0;
    this.#known = 0;
    this.#passedOver.clear();
  }

  /** The source has these. What becomes of each is counted by one of the calls below. */
  give(count = 1): void {
    this.#given += count;
  }

  take(): void {
    this.#taken += 1;
  }

  know(): void {
    this.#known += 1;
  }

  passOver(reason: PassedOverReason, name: string): void {
    const found = this.#passedOver.get(reason) ?? { count: 0, first: name, extensions: new Map<string, number>() };
    found.count += 1;
    if (reason === "excluded") {
      const extension = /[^/](\.[^./]+)$/.exec(name)?.[1] ?? "";
      if (found.extensions.has(extension) || found.extensions.size < MOST_EXTENSIONS) {
        found.extensions.set(extension, (found.extensions.get(extension) ?? 0) + 1);
      }
    }
    this.#passedOver.set(reason, found);
  }

  read(): SourceAccount {
    const passedOver: Partial<Record<PassedOverReason, PassedOver>> = {};
    for (const [reason, { count, first, extensions }] of this.#passedOver) {
      passedOver[reason] = {
        count,
        first,
        ...(extensions.size === 0 ? {} : { extensions: Object.fromEntries(extensions) }),
      };
    }
    return { given: this.#given, taken: this.#taken, known: this.#known, passedOver };
  }
}
